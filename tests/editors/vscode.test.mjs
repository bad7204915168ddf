/** What a person does in VS Code, against the real server, the real engine and the bundled model. Run by test_vscode.py. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { until, VSCode } from './vscode.mjs';

const HOME = process.env.INFILL_ARTEFACTS;
const SERVER = process.env.INFILL_SERVER;
const PATTERN = 'def add(first, second):\n    return first + second\n\n\ndef subtract(first, second):\n    return first - second\n\n\ndef multiply(first, second):\n    return';
const NAMES = ['accept', 'word', 'dismiss', 'popup', 'unicode', 'cycle', 'crash', 'off', 'second', 'speed', 'generate'];
const enginePid = () => JSON.parse(execFileSync(SERVER, ['engine', 'status', '--json'], { env: { ...process.env, INFILL_HOME: path.join(HOME, 'main/infill') } }).toString()).pid;

function servers() {
  try {
    return execFileSync('pgrep', ['-f', `${SERVER} lsp`]).toString().trim().split('\n').map(Number);
  } catch {
    return [];
  }
}

let code;
before(async () => {
  const files = Object.fromEntries(NAMES.map((name) => [`${name}.py`, `${PATTERN}\n`]));
  code = await VSCode.start(path.join(HOME, 'main'), files, { 'infill.server.command': [SERVER] });
  await code.status('built in');
}, { timeout: 180_000 });
after(() => code?.close());

// what a person would look at first when something is wrong
let failed = 0;
afterEach(async (context) => {
  if (context.passed === false) await code?.screenshot(`failed-${++failed}`);
});

/** Open a file and put the cursor after its last `return`. */
async function atReturn(name, page = code.page) {
  await code.open(`${name}.py`, page);
  await code.press('ArrowUp', page);
  await code.press('End', page);
}

async function ghostAfter(text, page = code.page) {
  await code.type(text, page);
  return code.appears(page);
}

test('a suggestion appears while typing, and Tab takes it into the file', { timeout: 120_000 }, async () => {
  await atReturn('accept');
  const ghost = await ghostAfter(' ');
  await code.screenshot('ghost');
  await code.press('Tab');
  await code.vanishes();
  const text = await code.saved('accept.py');
  assert.ok(text.startsWith(`${PATTERN} ${ghost}`), JSON.stringify({ text, ghost }));
});

test('the status bar names the model that answers', { timeout: 60_000 }, async () => {
  await code.status('built in');
});

test('typing what is suggested keeps the rest, a word at a time or all at once', { timeout: 60_000 }, async () => {
  await atReturn('word');
  const ghost = await ghostAfter(' ');
  await code.type(ghost[0]);
  assert.equal(await code.appears(), ghost.slice(1));
  await code.press('Control+ArrowRight');
  await code.press('Escape');
  const text = await code.saved('word.py');
  const taken = text.slice(PATTERN.length + 1).trimEnd();
  assert.ok(taken.length > 1 && ghost.startsWith(taken), JSON.stringify({ taken, ghost }));
});

test('Escape dismisses the suggestion and nothing of it stays', { timeout: 60_000 }, async () => {
  await atReturn('dismiss');
  await ghostAfter(' ');
  await code.press('Escape');
  await code.vanishes();
  assert.equal(await code.saved('dismiss.py'), `${PATTERN} \n`);
});

test('text before the cursor that is not ASCII leaves every position right', { timeout: 60_000 }, async () => {
  await code.open('unicode.py');
  await code.type("naïve = '😀 e\u0301'; x = add(1, ");
  const ghost = await code.appears();
  await code.press('Tab');
  const text = await code.saved('unicode.py');
  assert.ok(text.includes(`naïve = '😀 e\u0301'; x = add(1, ${ghost}`), JSON.stringify({ text, ghost }));
});

test('a suggestion and the completion list stand side by side', { timeout: 60_000 }, async () => {
  await atReturn('popup');
  await ghostAfter(' ');
  await code.press('Escape');
  await code.type('fir');
  await code.press('Control+Space');
  await code.page.waitForSelector('.suggest-widget.visible .monaco-list-row');
  await code.screenshot('popup');
  await code.press('Tab');
  await code.press('Escape');
  assert.match(await code.saved('popup.py'), /return first/);
});

test('asked by key, several candidates come and can be cycled', { timeout: 60_000 }, async () => {
  await atReturn('cycle');
  await code.type(' ');
  await code.press('Escape');
  await code.command('infill: Suggest Now');
  const one = await code.appears();
  await code.press('Alt+]');
  const other = await until(async () => { const shown = await code.ghost(); return shown !== undefined && shown !== one ? shown : undefined; }, 'another candidate');
  await code.press('Tab');
  assert.ok((await code.saved('cycle.py')).includes(`return ${other}`.trimEnd()));
});

test('with the engine killed under a suggestion, the suggestion can be taken and the next one comes', { timeout: 90_000 }, async () => {
  await atReturn('crash');
  const ghost = await ghostAfter(' ');
  process.kill(enginePid(), 'SIGKILL');
  await code.press('Tab');
  await code.type('\n\n\ndef divide(first, second):\n    return');
  await ghostAfter(' ');
  assert.ok((await code.saved('crash.py')).startsWith(`${PATTERN} ${ghost}`));
});

test('the server killed is started again by itself', { timeout: 90_000 }, async () => {
  process.kill(servers()[0], 'SIGKILL');
  await code.status('infill');
  await code.press('Escape');
  await code.type('\n\n\ndef power(first, second):\n    return');
  await until(async () => { await code.type(' '); await code.press('Backspace'); return code.ghost(); }, 'a suggestion from the new server', 40);
});

test('a second window shares the engine', { timeout: 120_000 }, async () => {
  const first = enginePid();
  const page = await code.window();
  await code.status('built in', page);
  await atReturn('second', page);
  await ghostAfter(' ', page);
  assert.equal(enginePid(), first);
  await page.context().close();
});

test('from the key to the ghost takes as long as a person would not notice', { timeout: 120_000 }, async () => {
  await code.open('speed.py');
  const times = [];
  for (let i = 0; i < 12; i++) {
    await code.type(`\ndef function_${i}(first, second):\n    return first`);
    await until(async () => { await code.press('Escape'); return (await code.ghost()) === undefined; }, 'no ghost before the key');
    const started = Date.now();
    await code.page.keyboard.press(' ');
    await code.page.waitForSelector('.ghost-text-decoration', { timeout: 10_000 }).catch(() => undefined);
    times.push(Date.now() - started);
    await code.press('Escape');
  }
  times.sort((a, b) => a - b);
  fs.writeFileSync(path.join(HOME, 'key-to-ghost.json'), JSON.stringify({ milliseconds: times, median: times[Math.floor(times.length / 2)] }));
  assert.ok(times.length === 12);
});

test('switched off, no suggestion comes and the server leaves', { timeout: 60_000 }, async () => {
  // the closed second window's server may live on for a while: VS Code waits for the window to come back
  const before = servers();
  await code.command('infill: Switch Off or On');
  await until(() => servers().length < before.length, 'the server has left');
  await atReturn('off');
  await code.type(' ');
  assert.equal(await code.ghost(), undefined);
  assert.equal(await code.saved('off.py'), `${PATTERN} \n`);
  await code.command('infill: Switch Off or On');
  await code.status('infill');
});
