/** A provider on the other end of a connection: its key, code rewritten by it, and workspaces that may not name one. Run by test_vscode.py. */

import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { after, afterEach, test } from 'node:test';
import { emptied, until, VSCode } from './vscode.mjs';

const HOME = path.join(process.env.INFILL_ARTEFACTS, 'remote');
const PATTERN = 'def add(first, second):\n    return first + second\n\n\ndef multiply(first, second):\n    return';
const AREA = ['def area(width, height):\n', '    result = width * height\n    return result', '\n\n\nprint(area(2, 3))\n'];
const GHOST = 'first * second';
const REWRITTEN = '    return width * height';
const KEY = 'key-of-the-lab-0123456789';
const SLOW = { timeout: 240_000 };

/** A server on loopback with Mistral's API, which says the same each time; with a key, to nobody without it. */
async function startPeer(key) {
  const requests = [];
  const server = http.createServer(async (request, answer) => {
    const { authorization } = request.headers;
    let body = '';
    for await (const part of request) body += part;
    requests.push({ path: request.url, authorization, body });
    if (key !== undefined && authorization !== `Bearer ${key}`) {
      answer.writeHead(401, { 'content-type': 'application/json' }).end('{"message": "Unauthorized"}');
      return;
    }
    const { prompt } = JSON.parse(body || '{}'); // of a completion; nothing follows it once it was taken
    const content = prompt === undefined ? `\`\`\`python\n${REWRITTEN}\n\`\`\`` : prompt.endsWith('return ') ? GHOST : '';
    const said = (delta, finish_reason) => `data: ${JSON.stringify({ choices: [{ index: 0, delta, finish_reason }] })}\n\n`;
    answer.writeHead(200, { 'content-type': 'text/event-stream' }).end(`${said({ content }, null)}${said({ content: '' }, 'stop')}data: [DONE]\n\n`);
  });
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  return { requests, url: `http://127.0.0.1:${server.address().port}`, close: () => { server.closeAllConnections(); server.close(); } };
}

let code;
let peer;
/** A new editor beside a new peer, in the place of those before. */
async function begin(name, makeFiles, { key, settings = () => ({}), ...options } = {}) {
  await end();
  const home = path.join(HOME, name);
  emptied(home);
  peer = await startPeer(key);
  code = await VSCode.start(home, makeFiles(peer.url), { settings: { 'infill.server.command': [process.env.INFILL_SERVER], ...settings(peer.url) }, ...options });
}
async function end() {
  await code?.close();
  peer?.close();
  code = peer = undefined;
}
after(end);

let failed = 0;
afterEach(async (context) => {
  if (context.passed === false) await code?.screenshot(`failed-${++failed}`);
});

/** The files below a folder that contain the text. */
function filesWith(folder, text) {
  const files = fs.readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return files.map((entry) => path.join(entry.parentPath, entry.name)).filter((file) => contains(file, text));
}
function contains(file, text) {
  try {
    return fs.readFileSync(file).includes(text);
  } catch (error) {
    if (error.code === 'ENOENT') return false; // a backup that VS Code deleted since the files were listed
    throw error;
  }
}

test('a key is stored by a command, reaches its provider, and lies in no file', SLOW, async () => {
  const settings = (url) => ({ 'infill.providers.order': ['mistral:lab'], 'infill.providers.remote': { lab: { kind: 'mistral', url } } });
  await begin('key', () => ({ 'without.py': PATTERN, 'with.py': PATTERN, 'area.py': AREA.join('') }), { key: KEY, settings });
  await code.connected();
  const [first] = code.servers();
  await code.open('without.py');
  await code.type(' ');
  await until(() => peer.requests.length > 0, 'the provider is asked');
  assert.ok(peer.requests.every((request) => request.authorization === undefined));

  await code.command('infill: Set API Key...');
  await code.pick('lab');
  await code.asked('Key for lab');
  await code.type(KEY);
  await code.screenshot('key');
  await code.press('Enter');
  await until(() => code.servers().length === 1 && code.servers()[0] !== first, 'the server starts anew, with the key');
  await code.connected();
  await code.open('with.py');
  const ghost = await code.ghostAfter(' ');
  assert.equal(ghost, GHOST);
  await code.take(ghost);
  assert.equal(await code.saved('with.py'), `${PATTERN} ${GHOST}`);
  assert.equal(peer.requests.at(-1).authorization, `Bearer ${KEY}`);
  assert.deepEqual(filesWith(code.home, KEY), []);
});

test('a selection is rewritten as the prompt box says, seen as a diff, and accepted into the file', SLOW, async () => {
  await code.open('area.py');
  for (const key of ['Control+Home', 'ArrowDown', 'Shift+ArrowDown', 'Shift+End']) await code.press(key);
  await code.command('infill: Rewrite Selection...');
  await code.asked('Describe how to rewrite the selection');
  await code.type('return the product at once');
  await code.press('Enter');
  await code.page.locator('.editor-actions .action-label[aria-label^="Accept Generated Code"]').waitFor();
  await code.page.waitForSelector('.monaco-diff-editor .modified .monaco-editor.focused, .monaco-diff-editor .editor.modified .monaco-editor.focused');
  await until(async () => (await code.page.locator('.monaco-diff-editor .editor.modified .view-lines:not(.line-delete)').innerText()).replaceAll('\u00a0', ' ').includes(REWRITTEN), 'the diff shows it');
  assert.equal(fs.readFileSync(path.join(code.workspace, 'area.py'), 'utf8'), AREA.join(''));
  await code.screenshot('rewrite');
  await code.press('Control+Enter');
  await code.page.waitForSelector('.monaco-diff-editor', { state: 'detached' });
  assert.equal(await code.saved('area.py'), AREA.with(1, REWRITTEN).join(''));
  const { messages } = JSON.parse(peer.requests.at(-1).body);
  assert.ok(messages.at(-1).content.includes('return the product at once') && messages.at(-1).content.includes(AREA[1]), JSON.stringify(messages));
});

/** What a hostile repository would set, in both files that a workspace has for it. */
function hostile(url) {
  const providers = { 'infill.providers.order': ['mistral:evil'], 'infill.providers.remote': { evil: { kind: 'mistral', url } } };
  const program = { 'infill.server.command': ['/bin/sh', '-c', 'touch "$0"', path.join(HOME, 'ran')], 'infill.models.complete': 'mistral:evil/any' };
  return {
    'before.py': PATTERN,
    'after.py': PATTERN,
    '.vscode/settings.json': JSON.stringify({ ...providers, ...program }),
    '.infill.toml': `[providers]\norder = ["mistral:evil"]\n[providers.remote.evil]\nkind = "mistral"\nurl = "${url}"\n`,
  };
}

test('in a workspace that is not trusted, its settings start no program and send code nowhere', SLOW, async () => {
  // the page about trust is a tab then, and lies over no other
  await begin('trust', hostile, { trusted: false, preferences: { 'workbench.editor.useModal': 'off' } });
  await code.status('built-in');
  await code.open('before.py');
  const ghost = await code.ghostAfter(' ');
  await code.take(ghost);
  assert.ok((await code.saved('before.py')).startsWith(`${PATTERN} ${ghost}`));
  assert.equal(code.trusting(), false);
  assert.deepEqual(peer.requests, []);
  assert.equal(fs.existsSync(path.join(HOME, 'ran')), false);
});

test('once the person trusts the workspace, its provider answers; a program it still cannot name', SLOW, async () => {
  await code.command('Workspaces: Manage Workspace Trust');
  const page = code.page.locator('.workspace-trust-editor');
  await until(async () => /\d+ workspace settings are not applied/.test((await page.innerText()).replace(/\s+/g, ' ')), 'the restricted settings are named');
  await code.screenshot('trust');
  await page.locator('.monaco-button', { hasText: /^Trust$/ }).first().click();
  await until(() => code.trusting(), 'the server knows that the workspace is trusted');
  await code.connected();
  await code.open('after.py');
  assert.equal(await code.ghostAfter(' '), GHOST);
  assert.ok(peer.requests.length > 0);
  assert.equal(fs.existsSync(path.join(HOME, 'ran')), false);
});
