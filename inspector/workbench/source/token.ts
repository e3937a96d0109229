// Which token opens the server? That of the address, of this tab, or of another tab of the same server.
const CHANNEL = "token", PATIENCE = 2000;

/** A tab that has the token hands it to tabs that ask; a newer one goes to all. */
export async function findToken(): Promise<string> {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) { sessionStorage.setItem("token", given); history.replaceState(null, "", location.pathname); }
  const own = sessionStorage.getItem("token") ?? "", token = own || (await asked());
  if (!token) return "";
  sessionStorage.setItem("token", token);
  new BroadcastChannel(CHANNEL).onmessage = ({ data, target }) => { if (data === "?") (target as BroadcastChannel).postMessage(token); };
  return token;
}

function asked(): Promise<string> {
  return new Promise((done) => {
    const channel = new BroadcastChannel(CHANNEL), end = (token: string) => { clearTimeout(timer); channel.close(); done(token); };
    const timer = setTimeout(() => end(""), PATIENCE);
    channel.onmessage = ({ data }) => { if (data !== "?") end(String(data)); };
    channel.postMessage("?");
  });
}
