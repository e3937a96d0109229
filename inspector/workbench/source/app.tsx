// The page starts: beside a server, or with its data inside.
import { render } from "preact";
import { embedded, Fixed, Live } from "./source";
import { findToken } from "./token";
import { Workbench } from "./workbench";

const data = await embedded(), fixed = data ? new Fixed(data) : null;
render(<Workbench source={fixed ?? new Live(await findToken())} fixed={fixed} />, document.getElementById("page")!);
// The address of a server that was started again differs in its token alone.
addEventListener("hashchange", () => { if (new URLSearchParams(location.hash.slice(1)).has("token")) location.reload(); });
