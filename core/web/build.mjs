// Bundles the page into a directory: hashed names, one index.html, and the licences of all that is in it.
//
//   node build.mjs --out DIR      the page
//   node build.mjs --tests        the unit tests, for node's own test runner, into build/tests

import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const shared = { absWorkingDir: here, bundle: true, logLevel: "warning", target: "es2022", format: "esm" };

const digest = (content) => createHash("sha256").update(content).digest("hex").slice(0, 8);

async function buildPage(out) {
  const result = await build({
    ...shared,
    entryPoints: { app: "src/main.tsx", style: "src/style/index.css" },
    entryNames: "[name]-[hash]",
    outdir: out,
    write: false,
    minify: true,
    metafile: true,
    legalComments: "none",
    jsx: "automatic",
    jsxImportSource: "preact",
  });
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  const names = {};
  for (const file of result.outputFiles) {
    const name = file.path.slice(file.path.lastIndexOf("/") + 1);
    writeFileSync(join(out, name), file.contents);
    names[name.endsWith(".css") ? "style" : "app"] = name;
  }
  const icon = readFileSync(join(here, "src/icon.svg"));
  names.icon = `icon-${digest(icon)}.svg`;
  writeFileSync(join(out, names.icon), icon);
  const page = readFileSync(join(here, "src/index.html"), "utf8");
  names.build = digest(page + Object.values(names).join());
  writeFileSync(join(out, "index.html"), page.replace(/\{(\w+)\}/g, (_, key) => names[key]));
  writeFileSync(join(out, "LICENSES.txt"), licences(result.metafile));
}

/** The licence of every package that has code in the bundle; a package without one fails the build. */
function licences(metafile) {
  const packages = new Set();
  for (const input of Object.keys(metafile.inputs)) {
    const found = /^node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input);
    if (found) packages.add(found[1]);
  }
  return [...packages].sort().map((name) => {
    const root = join(here, "node_modules", name);
    const { version, license } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
    const file = readdirSync(root).find((entry) => /^licen[cs]e/i.test(entry));
    if (!file) throw new Error(`${name} ${version} (${license}) comes without its licence.`);
    return `${name} ${version} (${license})\n\n${readFileSync(join(root, file), "utf8").trim()}\n`;
  }).join(`\n${"-".repeat(72)}\n\n`);
}

async function buildTests() {
  const tests = readdirSync(join(here, "tests")).filter((name) => name.endsWith(".test.ts"));
  await build({
    ...shared,
    entryPoints: tests.map((name) => `tests/${name}`),
    outdir: "build/tests",
    outExtension: { ".js": ".mjs" },
    platform: "node",
  });
}

const [how, where] = process.argv.slice(2);
if (how === "--tests") await buildTests();
else if (how === "--out" && where) await buildPage(where);
else {
  console.error("Usage: node build.mjs --out DIR | --tests");
  process.exitCode = 2;
}
