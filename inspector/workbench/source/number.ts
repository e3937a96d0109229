// How is a number written? Four digits, with an exponent where it is large or small.
export const number = (v: number | null) => (v === null ? "–" : Math.abs(v) >= 1e5 || (v !== 0 && Math.abs(v) < 1e-3) ? v.toExponential(2) : String(+v.toPrecision(4)));
