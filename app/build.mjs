// Bundles app/src into app/dist/index.umd.js, with a hash of what it was made of in its first line: a test compares it.
import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const folder = dirname(fileURLToPath(import.meta.url));

function sourcesHash() {
  const names = readdirSync(join(folder, "src")).map((name) => `src/${name}`);
  const hash = createHash("sha256");
  for (const name of [...names, "build.mjs", "package-lock.json"].sort()) {
    hash.update(`${name}\0`).update(readFileSync(join(folder, name))).update("\0");
  }
  return hash.digest("hex");
}

await build({
  absWorkingDir: folder,
  entryPoints: ["src/index.js"],
  outfile: "dist/index.umd.js",
  bundle: true,
  format: "iife",
  target: "es2020",
  charset: "utf8",
  loader: { ".css": "text" },
  jsxFactory: "React.createElement",
  jsxFragment: "React.Fragment",
  banner: { js: `// Built by "make app" from app/src. Sources: sha256 ${sourcesHash()}` },
});
