// Dark or light? The system's wish until the switch is used; the choice is kept.
import { useState } from "preact/hooks";

const kept = (): string | null => { try { return localStorage.getItem("mode"); } catch { return null; } };

export function useDark(): [boolean, () => void] {
  const [dark, setDark] = useState(() => (kept() ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark");
  document.documentElement.dataset.mode = dark ? "dark" : "light"; // before any canvas reads its colours
  const swap = () => { setDark(!dark); try { localStorage.setItem("mode", dark ? "light" : "dark"); } catch { /* a sandbox has no storage */ } };
  return [dark, swap];
}
