// Which two axes of a tensor are seen as rows and columns? The others are gone through.
interface Props { shape: number[]; /** All axes; the last two are rows and columns. */ order: number[]; onChoose(order: number[]): void }

export function AxesPicker({ shape, order, onChoose }: Props) {
  const rows = order.at(-2)!, columns = order.at(-1)!, axes = [...shape.keys()];
  const choose = (r: number, c: number) => onChoose([...axes.filter((axis) => axis !== r && axis !== c), r, c]);
  const named = (axis: number) => <option key={axis} value={axis}>{`axis ${axis} (${shape[axis]})`}</option>;
  return <p class="paging axes"><label>rows <select value={rows} onChange={(e) => { const r = Number(e.currentTarget.value); choose(r, r === columns ? rows : columns); }}>{axes.map(named)}</select></label>
    <label>columns <select value={columns} onChange={(e) => { const c = Number(e.currentTarget.value); choose(c === rows ? columns : rows, c); }}>{axes.map(named)}</select></label></p>;
}
