/** A new user's way through VS Code: the one question, a model downloaded and switched to, code generated. Run by test_vscode.py. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { until, VSCode } from './vscode.mjs';

const ROOT = path.join(path.dirname(fileURLToPath(import.meta.url)), '../..');
const MODEL = path.join(ROOT, 'server/infill/data/infill-tiny.gguf');
const HOME = path.join(process.env.INFILL_ARTEFACTS, 'work');
const PATTERN = 'def add(first, second):\n    return first + second\n\n\ndef subtract(first, second):\n    return first - second\n\n\n';
const ASKED = `${PATTERN}def multiply(first, second):`;
const ENTRY = (name) => `[[model]]\nid = "${name}"\ntitle = "The ${name} one"\nsource = "maker/${name}:${name}.gguf"\nfim_order = "spm"\nlicence = "MIT"\n`;

/** A hub on loopback that hands out the bundled model under other names, slowly enough to be watched. */
async function startHub() {
  const files = ['first', 'second'].map((name) => `maker/${name}:${name}.gguf=${MODEL}`);
  const hub = spawn(process.env.INFILL_PYTHON, [path.join(ROOT, 'tests/models/hub.py'), ...files, '--slow', '2000000'], { stdio: ['pipe', 'pipe', 'inherit'] });
  const line = await new Promise((resolve) => { hub.stdout.once('data', (data) => { resolve(data.toString()); }); });
  return { hub, url: line.trim().split(/\s+/).at(-1) };
}

let code;
let hub;
before(async () => {
  const started = await startHub();
  hub = started.hub;
  fs.mkdirSync(path.join(HOME, 'infill/config'), { recursive: true });
  fs.writeFileSync(path.join(HOME, 'infill/config/models.toml'), ENTRY('first') + ENTRY('second'));
  const files = Object.fromEntries(['hello', 'switched', 'accept', 'discard'].map((name) => [`${name}.py`, ASKED]));
  const environment = { HF_ENDPOINT: started.url, HF_HOME: path.join(HOME, 'huggingface'), NO_PROXY: '*' };
  code = await VSCode.start(HOME, files, { 'infill.server.command': [process.env.INFILL_SERVER], 'workbench.colorTheme': 'Default Light Modern' }, environment);
  await code.status('built in');
}, { timeout: 180_000 });
after(async () => {
  await code?.close();
  hub?.kill();
});

let failed = 0;
afterEach(async (context) => {
  if (context.passed === false) await code?.screenshot(`failed-${++failed}`);
});

/** Choose a model in the quick pick that the status bar's menu opens. */
async function chooseFromStatusBar(title) {
  await (await code.status('')).click();
  await code.pick('Choose model');
  await code.page.waitForSelector('.quick-input-widget:has-text("Model for completions")');
  await code.screenshot('picker');
  await code.type(title); // the list is long and shows only what is in view
  await code.page.waitForSelector(`.quick-input-list .monaco-list-row:has-text("${title}")`);
  await code.screenshot('models');
  await code.pick(title);
}

test('a new user is asked once whether to get a better model, and "Not now" is an answer', { timeout: 120_000 }, async () => {
  await code.open('hello.py');
  await code.type('\n    return');
  await code.type(' ');
  await code.appears();
  await code.page.waitForSelector('.notifications-toasts :text("This machine can run")', { timeout: 90_000 });
  await code.screenshot('question');
  await code.answer('This machine can run', 'Not now');
  await until(() => code.page.locator('.notifications-toasts :text("This machine can run")').count().then((count) => count === 0), 'the question is put away');
});

test('a model chosen from the status bar is downloaded, and then it answers', { timeout: 180_000 }, async () => {
  await chooseFromStatusBar('The first one');
  await code.status('first', code.page, 90);
  await code.open('switched.py');
  await code.type('\n    return');
  await code.type(' ');
  const ghost = await code.appears(code.page, 40);
  await code.press('Tab');
  assert.ok((await code.saved('switched.py')).startsWith(`${ASKED}\n    return ${ghost}`));
});

test('in the Models view a model is downloaded and used by the buttons of its line', { timeout: 180_000 }, async () => {
  await code.command('View: Show infill');
  const row = code.page.locator('.monaco-list-row:has-text("The second one")').first();
  await row.waitFor({ timeout: 60_000 });
  await code.screenshot('tree');
  await row.hover();
  await row.locator('.action-label[aria-label="Download"]').click();
  await row.locator('.action-label[aria-label="Use This Model"]').waitFor({ state: 'attached', timeout: 90_000 });
  await row.hover();
  await row.locator('.action-label[aria-label="Use This Model"]').click();
  await code.status('second');
  await code.command('View: Show Explorer');
});

test('generated code is shown as a diff while it is written, and accepted into the file by keyboard', { timeout: 180_000 }, async () => {
  await code.open('accept.py');
  await code.press('Control+Alt+i');
  await code.page.waitForSelector('.quick-input-widget:has-text("What should be written")');
  await code.press('Enter');
  await code.page.waitForSelector('.monaco-diff-editor', { timeout: 60_000 });
  await code.page.waitForSelector('.quick-input-list .monaco-list-row:has-text("Accept")', { timeout: 120_000 });
  await code.screenshot('generate');
  const shown = (await code.page.locator('.monaco-diff-editor .editor.modified .view-lines').innerText()).replaceAll('\u00a0', ' ');
  await code.press('Enter');
  await code.page.waitForSelector('.monaco-diff-editor', { state: 'detached' });
  const text = await code.saved('accept.py');
  assert.ok(text.startsWith(`${ASKED}\n    `), JSON.stringify(text));
  const written = text.slice(ASKED.length).trim().split('\n')[0].trim();
  assert.ok(written.length > 0 && shown.includes(written), JSON.stringify({ written, shown }));
});

test('discarded, generated code leaves nothing in the file', { timeout: 120_000 }, async () => {
  await code.open('discard.py');
  await code.type(' ');
  await code.press('Backspace');
  await code.press('Control+Alt+i');
  await code.page.waitForSelector('.quick-input-widget:has-text("What should be written")');
  await code.press('Enter');
  await code.page.waitForSelector('.quick-input-list .monaco-list-row:has-text("Discard")', { timeout: 120_000 });
  await code.pick('Discard');
  await code.page.waitForSelector('.monaco-diff-editor', { state: 'detached' });
  await code.type(' ');
  assert.equal(await code.saved('discard.py'), `${ASKED} `);
});

test('the report opens beside the code', { timeout: 60_000 }, async () => {
  // what is on the page is tested in clients/vscode/test: this editor would fetch a page's frame from the network
  await code.command('infill: Show Report');
  await code.page.waitForSelector('.tab:has-text("infill: report")', { timeout: 30_000 });
  assert.equal(await code.page.locator('.tab:has-text("infill: report")').count(), 1);
});
