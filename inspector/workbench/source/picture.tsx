// One picture of a job's answer, with its caption; fetched with the token, which an address cannot carry.
import { useEffect, useState } from "preact/hooks";
import { plain } from "./graph";
import type { Live } from "./source";

export function Picture({ source, path, title, caption }: { source: Live; path: string; title: string; caption: string }) {
  const [address, setAddress] = useState(""), [error, setError] = useState("");
  useEffect(() => {
    let made = "", on = true;
    source.blob(path).then((blob) => { if (on) setAddress(made = URL.createObjectURL(blob)); }).catch((fault) => on && setError(fault.message));
    return () => { on = false; URL.revokeObjectURL(made); };
  }, [path]);
  return <figure>{address && <img src={address} alt={title} />}{error && <p class="problem">{error}</p>}<figcaption>{plain(caption)}</figcaption></figure>;
}
