// Makes ../dist from the sources: one script with its layout worker inside, one style, one frame.
import { build } from "esbuild";
import { copyFile, writeFile } from "node:fs/promises";

const options = { bundle: true, minify: true, write: false, target: "es2022", charset: "ascii", legalComments: "none" };
const worker = await build({ ...options, entryPoints: ["layout_worker.ts"], format: "iife" });
const page = await build({
  ...options, entryPoints: ["app.tsx"], format: "esm", jsx: "automatic", jsxImportSource: "preact",
  define: { WORKER: JSON.stringify(worker.outputFiles[0].text) },
});
const style = await build({ ...options, entryPoints: ["page.css"] });
await writeFile("../dist/page.js", page.outputFiles[0].text);
await writeFile("../dist/page.css", style.outputFiles[0].text);
await copyFile("index.html", "../dist/index.html");
