/** For somebody who installed only the extension: one button brings the server, and suggestions come. Run by test_vscode.py. */

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { emptied, until, VSCode } from './vscode.mjs';

const HOME = path.join(process.env.INFILL_ARTEFACTS, 'first');
const TEXT = 'def add(first, second):\n    return first + second\n\n\ndef multiply(first, second):\n    return';
const SLOW = { timeout: 600_000 };

/** A PATH with Python, and without any `infill`. */
function withoutServer() {
  const programs = path.join(HOME, 'bin');
  fs.mkdirSync(programs, { recursive: true });
  // a script, not a link: an environment made by a linked Python takes the link's folder for Python's home
  fs.writeFileSync(path.join(programs, 'python3'), `#!/bin/sh\nexec ${process.env.INFILL_BASE_PYTHON} "$@"\n`, { mode: 0o755 });
  const others = process.env.PATH.split(path.delimiter).filter((folder) => !fs.existsSync(path.join(folder, 'infill')));
  return [programs, ...others].join(path.delimiter);
}

let code;
before(async () => {
  emptied(HOME);
  // the server is in the extension; what it needs is offline, and nothing of the machine's own may stand in
  const environment = { PATH: withoutServer(), PYTHONPATH: '', HF_HUB_OFFLINE: '1', PIP_NO_INDEX: '1', PIP_FIND_LINKS: process.env.INFILL_WHEELS };
  code = await VSCode.start(HOME, { 'hello.py': TEXT }, { environment });
}, { timeout: 300_000 });
after(() => code?.close());

let failed = 0;
afterEach(async (context) => {
  if (context.passed === false) await code?.screenshot(`failed-${++failed}`);
});

const step = (title) => code.page.locator(`.getting-started-step:has-text("${title}")`);
const isDone = (title) => step(title).locator('.codicon-getting-started-step-checked').count().then((count) => count === 1);

async function openWalkthrough() {
  await code.command('Welcome: Open Walkthrough...');
  await code.page.waitForSelector('.quick-input-widget input:focus');
  await code.type('Get started with infill');
  await code.pick('Get started with infill');
  await step('The server').waitFor();
}

test('the walkthrough begins with the server', SLOW, async () => {
  await openWalkthrough();
  await step('The server').locator('.monaco-button:has-text("Install the Server")').waitFor();
  assert.equal(await isDone('The server'), false);
});

test('where no server is found, one button installs it, and suggestions come without a restart', SLOW, async () => {
  const question = 'infill needs its server';
  await code.toast(question).waitFor();
  assert.deepEqual(code.servers(), []);
  await code.screenshot('not-found');
  await code.answer(question, 'Install');
  await code.toast('Installing the infill server').locator('.monaco-button:has-text("Cancel")').waitFor();
  await code.screenshot('installing');
  await code.status('built-in', code.page, 400);
  const [server] = code.servers();
  const program = fs.readFileSync(`/proc/${server}/cmdline`, 'utf8').split('\0').find((word) => word.endsWith('/infill'));
  assert.ok(program.startsWith(path.join(HOME, 'data')), `the server is the one of the private environment: ${program}`);
  await code.open('hello.py');
  const ghost = await code.ghostAfter(' ');
  await code.take(ghost);
  assert.ok((await code.saved('hello.py')).startsWith(`${TEXT} ${ghost}`));
});

test('the walkthrough knows which of its steps are done', SLOW, async () => {
  await openWalkthrough();
  await until(async () => (await isDone('The server')) && (await isDone('Your first completion')), 'the first and the last step are done');
  await code.screenshot('walkthrough');
  assert.equal(await isDone('A model for this machine'), false);
});
