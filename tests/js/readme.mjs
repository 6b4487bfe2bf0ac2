// The programs in the README of `cf-container-warm-pool`, as a user of it has them: taken from the installed package, with
// the name in the import line changed and nothing else.

import { readFileSync } from "node:fs";

const README = new URL("../../node_modules/cf-container-warm-pool/README.md", import.meta.url);
const THEIRS = "'cf-container-warm-pool'";
const OURS = "'cf-warm-pools'";

/** In which section each is, and what its configuration mentions that no other does. */
const PROGRAMS = {
  "quick-start": { heading: "## Quick Start", configured: '"MyContainer"' },
  sandbox: { heading: "## Sandbox SDK Example", configured: '"MySandbox"' },
};

/**
 * A program's TypeScript, which imports `cf-warm-pools`.
 * @param {keyof typeof PROGRAMS} name
 */
export function readmeProgram(name) {
  const text = readme();
  const { heading } = PROGRAMS[name];
  const section = text.split(/^(?=## )/m).find((part) => part.startsWith(`${heading}\n`));
  const [program] = blocks(section ?? "", "ts");
  if (program?.split(THEIRS).length !== 2) throw new Error(`no program with one import of ${THEIRS} below ${heading}`);
  return program.replace(THEIRS, OURS);
}

/**
 * The `wrangler.jsonc` that the README has for a program, as it stands there.
 * @param {keyof typeof PROGRAMS} name
 */
export function readmeConfig(name) {
  const { configured } = PROGRAMS[name];
  const found = blocks(readme(), "jsonc").find((block) => block.includes(configured) && block.includes('"containers"'));
  if (found === undefined) throw new Error(`no configuration that mentions ${configured}`);
  return found;
}

const readme = () => readFileSync(README, "utf8");

/** The blocks of code in a language. */
function blocks(markdown, language) {
  const all = [...markdown.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)];
  return all.filter(([, of]) => of === language).map(([, , code]) => code);
}
