/** From the key to the ghost text, and how much of it is the server's: measured, written down, not judged. Run by test_vscode.py. */

import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { emptied, until, VSCode } from './vscode.mjs';

const HOME = path.join(process.env.INFILL_ARTEFACTS, 'speed');
const NOTED = path.join(HOME, 'answers.jsonl');
const KEYS = 24;
const TEXT = Array.from({ length: KEYS + 1 }, (_, i) => `def function_${i}(first, second):\n    return first\n\n\n`).join('');
const WATCHED = [process.env.INFILL_PYTHON, path.join(path.dirname(fileURLToPath(import.meta.url)), 'watch.py'), NOTED, process.env.INFILL_SERVER];

const noted = () => fs.readFileSync(NOTED, 'utf8').trim().split('\n').filter(Boolean).map((line) => JSON.parse(line));
const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];
const rounded = (number) => Math.round(number * 10) / 10;

let code;
before(async () => {
  emptied(HOME);
  fs.writeFileSync(NOTED, '');
  code = await VSCode.start(HOME, { 'speed.py': TEXT }, { settings: { 'infill.server.command': WATCHED } });
  await code.status('built-in');
}, { timeout: 300_000 });
after(() => code?.close());

/** In the page: the time from the next key until ghost text has been painted. */
function watchTheScreen() {
  window.ghostAfter = new Promise((resolve) => {
    let pressed;
    window.addEventListener('keydown', () => { pressed = performance.now(); }, { capture: true, once: true });
    const seen = new MutationObserver(() => {
      if (pressed === undefined || !document.querySelector('.ghost-text-decoration')) return;
      seen.disconnect();
      requestAnimationFrame(() => resolve(performance.now() - pressed));
    });
    seen.observe(document.body, { subtree: true, childList: true, attributes: true });
  });
}

/** One key behind the `return first` at this line; undefined where the model had nothing to suggest. */
async function measure(line) {
  await code.at(line, 17);
  await code.page.evaluate(watchTheScreen);
  const before = noted().length;
  await code.page.keyboard.press(' ');
  const answer = await until(() => noted()[before], 'the server has answered');
  if (answer.suggestions === 0) return undefined;
  const shown = await code.page.evaluate(() => Promise.race([window.ghostAfter, new Promise((resolve) => { setTimeout(resolve, 5000); })]));
  await code.press('Escape');
  await code.vanishes();
  return shown === undefined || shown === null ? undefined : { shown, ...answer };
}

test('from the key to the ghost text is measured, with the share of the server', { timeout: 600_000 }, async () => {
  await code.open('speed.py');
  await code.press('Control+Home');
  const keys = [];
  for (let i = 0; i <= KEYS; i++) {
    for (const key of i === 0 ? ['ArrowDown'] : ['ArrowDown', 'ArrowDown', 'ArrowDown', 'ArrowDown']) await code.press(key);
    await code.press('End');
    const one = await measure(4 * i + 2);
    // the first one starts the engine
    if (one && i > 0) keys.push(one);
  }
  assert.ok(keys.length >= KEYS / 2, `only ${keys.length} of ${KEYS} keys were followed by a suggestion`);
  const of = (part) => rounded(median(keys.map(part)));
  const medians = {
    'key to ghost': of((key) => key.shown),
    'answer of the server': of((key) => key.answered),
    'of it waiting for the next key': of((key) => key.waited),
    'of it the model': of((key) => key.model),
    'of it everything else': of((key) => key.answered - key.waited - key.model),
  };
  const machine = { cores: os.cpus().length, processor: os.cpus()[0].model, load: rounded(os.loadavg()[0]) };
  fs.writeFileSync(path.join(HOME, 'key-to-ghost.json'), `${JSON.stringify({ milliseconds: { median: medians }, machine, keys }, null, 1)}\n`);
  assert.ok(keys.every((key) => key.answered > 0 && key.shown > key.answered), JSON.stringify(keys));
});
