/** A new user's way through VS Code: the one question, models downloaded and switched to, code generated, the report. Run by test_vscode.py. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { emptied, until, VSCode } from './vscode.mjs';

const ROOT = path.join(path.dirname(fileURLToPath(import.meta.url)), '../..');
const MODEL = path.join(ROOT, 'server/infill/data/infill-tiny.gguf');
const HOME = path.join(process.env.INFILL_ARTEFACTS, 'work');
const PATTERN = 'def add(first, second):\n    return first + second\n\n\ndef subtract(first, second):\n    return first - second\n\n\n';
const ASKED = `${PATTERN}def multiply(first, second):`;
// here the bundled model writes something sensible, for the picture in the README
const PERSON = `class Person:
    def __init__(self, name, age):
        self.name = name
        self.age = age

    @property
    def first_name(self):
        return self.name.split()[0]

    @property
    def last_name(self):`;
const ENTRY = (name) => `[[model]]\nid = "${name}"\ntitle = "The ${name} one"\nsource = "maker/${name}:${name}.gguf"\nfim_order = "spm"\nlicence = "MIT"\n`;
const SLOW = { timeout: 300_000 };

/** A hub on loopback that hands out the bundled model under other names, slowly enough to be watched. */
async function startHub() {
  const files = ['first', 'second'].map((name) => `maker/${name}:${name}.gguf=${MODEL}`);
  const hub = spawn(process.env.INFILL_PYTHON, [path.join(ROOT, 'tests/models/hub.py'), ...files, '--slow', '1500000'], { stdio: ['pipe', 'pipe', 'inherit'] });
  const line = await new Promise((resolve) => { hub.stdout.once('data', (data) => { resolve(data.toString()); }); });
  return { hub, url: line.trim().split(/\s+/).at(-1) };
}

let code;
let hub;
before(async () => {
  emptied(HOME);
  const started = await startHub();
  hub = started.hub;
  fs.mkdirSync(path.join(HOME, 'infill/config'), { recursive: true });
  fs.writeFileSync(path.join(HOME, 'infill/config/models.toml'), ENTRY('first') + ENTRY('second'));
  const files = Object.fromEntries(['hello', 'switched', 'accept', 'discard', 'edited'].map((name) => [`${name}.py`, ASKED]));
  files['accept.py'] = PERSON;
  const environment = { HF_ENDPOINT: started.url, HF_HOME: path.join(HOME, 'huggingface'), NO_PROXY: '*' };
  code = await VSCode.start(HOME, files, { settings: { 'infill.server.command': [process.env.INFILL_SERVER] }, environment });
  await code.status('built-in');
}, { timeout: 300_000 });
after(async () => {
  await code?.close();
  hub?.kill();
});

let failed = 0;
afterEach(async (context) => {
  if (context.passed === false) await code?.screenshot(`failed-${++failed}`);
});

/** Choose a model in the quick pick that the status bar's menu opens. */
async function chooseFromStatusBar(title, picture) {
  await (await code.status('')).click();
  await code.pick('Choose model');
  await code.asked('Model for completions');
  if (picture) await code.screenshot(picture);
  await code.type(title); // the list is long and shows only what is in view
  await code.pick(title);
}

/** What has arrived of a download, in bytes; 0: there is none under way. */
function arrived() {
  const parts = fs.readdirSync(HOME, { recursive: true }).filter((name) => name.endsWith('.part'));
  try {
    return Math.max(0, ...parts.map((name) => fs.statSync(path.join(HOME, name)).size));
  } catch {
    return 0; // it was whole just now, and got its name
  }
}

test('a new user is asked once whether to get a better model, and "Not now" is an answer', SLOW, async () => {
  await code.open('hello.py');
  await code.ghostAfter('\n    return ');
  await code.toast('This machine can run').waitFor({ timeout: 180_000 });
  await code.screenshot('question');
  await code.answer('This machine can run', 'Not now');
  await until(async () => (await code.toast('This machine can run').count()) === 0, 'the question is put away');
  assert.equal(await code.toast('This machine can run').count(), 0);
});

test('a download shows how far it is, is cancelled, goes on where it stopped, and then the new model answers', SLOW, async () => {
  await chooseFromStatusBar('The first one', 'models');
  const progress = code.toast('infill: downloading first');
  await progress.waitFor();
  await until(() => arrived() > 1e6, 'a part has arrived');
  await code.screenshot('download');
  await code.answer('infill: downloading first', 'Cancel');
  await progress.waitFor({ state: 'detached' });
  const kept = arrived();
  assert.ok(kept > 1e6 && kept < fs.statSync(MODEL).size, `${kept} bytes are kept`);
  await code.status('built-in');

  await chooseFromStatusBar('The first one');
  await progress.waitFor();
  const sizes = [];
  await until(() => { sizes.push(arrived()); return sizes.at(-1) === 0; }, 'all of it has arrived');
  sizes.pop();
  assert.ok(sizes.length > 0 && sizes.every((size) => size >= kept), JSON.stringify({ kept, sizes }));
  await code.status('first');
  await code.open('switched.py');
  const ghost = await code.ghostAfter('\n    return ');
  await code.take(ghost);
  assert.ok((await code.saved('switched.py')).startsWith(`${ASKED}\n    return ${ghost}`));
});

test('in the Models view a model is downloaded and used by the buttons of its line', SLOW, async () => {
  await code.command('View: Show infill');
  const row = code.page.locator('.monaco-list-row:has-text("The second one")').first();
  await row.hover();
  await code.screenshot('tree');
  await row.locator('.action-label[aria-label="Download"]').click();
  await row.locator('.action-label[aria-label="Use This Model"]').waitFor({ state: 'attached' });
  // a list that is drawn anew under the mouse loses a click: then it is pressed again, as a person would
  for (let tries = 1; ; tries++) {
    try {
      await row.hover();
      await row.locator('.action-label[aria-label="Use This Model"]').click({ timeout: 20_000 });
      await code.status('second', code.page, 20);
      break;
    } catch (error) {
      if ((await (await code.status('infill')).innerText()).includes('second')) break;
      if (tries === 6) throw error;
    }
  }
  await code.command('View: Show Explorer');
});

const button = (title) => code.page.locator(`.editor-actions .action-label[aria-label^="${title}"]`);

/** Ask for code; without a prompt as the signature at the cursor says. It stands on the right side of the diff then, which has the keys. */
async function generate(prompt = '') {
  await code.command('infill: Generate Code...');
  await code.asked('Describe the code to generate');
  await code.type(prompt);
  await code.press('Enter');
  await button('Accept Generated Code').waitFor({ timeout: 180_000 });
  await code.page.waitForSelector('.monaco-diff-editor .editor.modified .monaco-editor.focused, .monaco-diff-editor .modified .monaco-editor.focused');
}

test('generated code is shown as a diff while it is written, and accepted into the file by keyboard', SLOW, async () => {
  await code.open('accept.py');
  await generate();
  await code.page.waitForSelector('.monaco-diff-editor .line-insert');
  // nothing lies over the diff
  assert.equal(await code.page.locator('.quick-input-widget:visible').count(), 0);
  assert.equal(await code.toast('infill: writing code').count(), 0);
  await code.screenshot('generate');
  const shown = (await code.page.locator('.monaco-diff-editor .editor.modified .view-lines:not(.line-delete)').innerText()).replaceAll('\u00a0', ' ');
  await code.press('Control+Enter');
  await code.page.waitForSelector('.monaco-diff-editor', { state: 'detached' });
  const text = await code.saved('accept.py');
  assert.ok(text.startsWith(`${PERSON}\n        `), JSON.stringify(text));
  const written = text.slice(PERSON.length).trim().split('\n')[0].trim();
  assert.ok(written.length > 0 && shown.includes(written), JSON.stringify({ written, shown }));
});

test('discarded, generated code leaves nothing in the file', SLOW, async () => {
  await code.open('discard.py');
  await generate();
  await code.press('Escape');
  await code.page.waitForSelector('.monaco-diff-editor', { state: 'detached' });
  await code.focused('discard.py');
  await code.type(' ');
  assert.equal(await code.saved('discard.py'), `${ASKED} `);
});

test('what was generated can be edited before it is accepted, tried again, and earlier prompts come back with Up', SLOW, async () => {
  await code.open('edited.py');
  await generate('multiply both');
  await code.press('Control+End');
  await code.type('\n# edited');
  await code.screenshot('generate-edited');
  await button('Accept Generated Code').click();
  await code.page.waitForSelector('.monaco-diff-editor', { state: 'detached' });
  assert.match(await code.saved('edited.py'), /\n# edited/);
  await code.command('infill: Generate Code...');
  await code.asked('Describe the code to generate');
  await code.press('ArrowUp');
  await until(async () => (await code.page.locator('.quick-input-widget input:focus').inputValue()) === 'multiply both', 'the earlier prompt is back');
  await code.press('Enter');
  await button('Retry').waitFor({ timeout: 180_000 });
  await button('Retry').click();
  await button('Stop Generating').or(button('Accept Generated Code')).first().waitFor();
  await button('Discard Generated Code').click({ timeout: 180_000 });
  await code.page.waitForSelector('.monaco-diff-editor', { state: 'detached' });
});

test('the report tells what was suggested and taken, in the colours of the theme', SLOW, async () => {
  await code.command('infill: Show Report');
  const page = code.webview();
  await page.locator('h1', { hasText: 'infill: report' }).waitFor();
  const rows = Object.fromEntries((await page.locator('table').first().locator('tr').allInnerTexts()).map((row) => row.split('\t')));
  assert.ok(Number(rows['suggestions shown']) >= 2, JSON.stringify(rows));
  assert.match(rows.accepted, /^[1-9]\d* \(\d+ %\)$/);
  assert.ok((await page.locator('svg text', { hasText: 'ms' }).count()) > 0, 'latency is drawn');
  const colour = () => page.locator('h1').evaluate((title) => getComputedStyle(title).color);
  const light = await colour();
  await code.screenshot('report-light');
  await code.command('Preferences: Toggle between Light/Dark Themes');
  await until(async () => (await colour()) !== light, 'the page has the colours of the dark theme');
  await code.screenshot('report-dark');
});

test('two models stand side by side in the report, and those that are chosen take their place', SLOW, async () => {
  const cells = async (line) => (await code.webview().locator('table').last().locator('tr').nth(line).innerText()).split('\t').map((cell) => cell.trim());
  const [, one, other] = await cells(0);
  assert.ok(one.startsWith('local:') && other.startsWith('local:') && one !== other, `${one}, ${other}`);
  await code.webview().locator('a', { hasText: 'Compare Two Models...' }).click();
  await code.asked('Compare which model?');
  await code.pick(other);
  await code.asked(`Compare ${other} with which?`);
  await code.pick(one);
  await until(async () => (await cells(0))[1] === other, 'the chosen one comes first');
  assert.equal((await cells(0))[2], one);
  const latency = await cells(4);
  assert.equal(latency[0], 'latency, median');
  assert.match(latency[1], /^\d+ ms$/);
  assert.match(latency[2], /^\d+ ms$/);
  // known of models whose answers ended by themselves: those here run on, and are left
  assert.match((await cells(6)).join(' '), /^tokens per second( (\d+|-)){2}$/);
});

/** Choose a file of the workspace by the report's button. */
async function openInReport(name, content) {
  fs.writeFileSync(path.join(code.workspace, name), content);
  await code.webview().locator('a', { hasText: 'Open Bench Results...' }).click();
  await code.asked('Results of infill bench');
  await until(async () => (await code.page.locator('.quick-input-widget input:focus').inputValue()) === `${code.workspace}/`, 'the dialog is in the workspace');
  await code.type(name);
  await code.press('Enter');
}

test('saved results of a bench are drawn in the report, and another file gets a sentence', SLOW, async () => {
  const page = code.webview();
  const speed = { name: 'some model', generate_per_second: 61.25, evaluate_per_second: 480, first_token_ms: 12.5, load_ms: 167, resident_bytes: 105e6 };
  await openInReport('speed.json', JSON.stringify({ machine: {}, speeds: [speed] }));
  await page.locator('h2', { hasText: 'Bench results: speed.json' }).waitFor();
  const cells = (await page.locator('tr', { hasText: 'some model' }).innerText()).split('\t').map((cell) => cell.trim());
  assert.deepEqual(cells, ['some model', '61.3 tokens/s', '480 tokens/s', '12.5 ms', '167 ms', '105 MB']);
  assert.equal(await page.locator('svg text', { hasText: '61.3 tokens/s' }).count(), 1);
  await code.screenshot('bench');
  await openInReport('notes.json', '{"rows": "<b>none</b>"}');
  const sentence = page.locator('p[role=alert]');
  await sentence.waitFor();
  assert.match(await sentence.innerText(), /^notes\.json is no result of infill bench\./);
  assert.equal(await page.locator('tr', { hasText: 'some model' }).count(), 0);
});
