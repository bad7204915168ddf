// Formats the plugin's Lua with stylua (npm: @johnnymorganz/stylua), as stylua.toml says.
// usage: node scripts/format.mjs [--check] [FILE...]      beside the plugin's own files; NODE_PATH names the node_modules that has it
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

const client = path.dirname(import.meta.dirname);
const stylua = createRequire(import.meta.url)('@johnnymorganz/stylua');
const enums = { indent_type: stylua.IndentType, quote_style: stylua.QuoteStyle };

// Made anew for each file: formatting uses it up.
function config() {
  const made = stylua.Config.new();
  for (const [, name, text] of fs.readFileSync(path.join(client, 'stylua.toml'), 'utf8').matchAll(/^(\w+) = (.+)$/gm)) {
    const value = JSON.parse(text);
    const known = enums[name] ? enums[name][value] : value;
    if (!(name in made) || known === undefined) throw new Error(`stylua.toml: ${name} = ${text} is not known here`);
    made[name] = known;
  }
  return made;
}

const own = fs.readdirSync(client, { recursive: true }).filter((name) => name.endsWith('.lua'));
const check = process.argv.includes('--check');
const files = [...own.map((name) => path.join(client, name)), ...process.argv.slice(2).filter((word) => word !== '--check')];
let different = 0;
for (const file of files) {
  const text = fs.readFileSync(file, 'utf8');
  const formatted = stylua.formatCode(text, config(), undefined, stylua.OutputVerification.Full);
  if (formatted === text) continue;
  different += 1;
  console.log(`${check ? 'not formatted' : 'formatted'}: ${file}`);
  if (!check) fs.writeFileSync(file, formatted);
}
console.log(`${files.length} files, ${different} ${check ? 'not formatted' : 'changed'}`);
process.exitCode = check && different ? 1 : 0;
