/** What a person does in VS Code, against the real server, the real engine and the bundled model. Run by test_vscode.py. */

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { emptied, until, VSCode } from './vscode.mjs';

const HOME = path.join(process.env.INFILL_ARTEFACTS, 'main');
const PATTERN = 'def add(first, second):\n    return first + second\n\n\ndef subtract(first, second):\n    return first - second\n\n\ndef multiply(first, second):\n    return';
// here the bundled model suggests something sensible, of several lines: for the picture in the README too
const SETTINGS = 'def show(settings):\n    for name, value in settings';
const NAMES = ['accept', 'word', 'dismiss', 'popup', 'unicode', 'cycle', 'crash', 'killed', 'off', 'states', 'second'];
const LONG = Array.from({ length: 160 }, (_, i) => `def function_${i}(first, second):\n    total = first * ${i} + second\n    return total - ${i}\n\n\n`).join('');
const CELLS = [PATTERN.split('\n\n\n').slice(0, 2).join('\n\n\n'), PATTERN.split('\n\n\n')[2]];
const NOTEBOOK = {
  cells: CELLS.map((text, i) => ({ cell_type: 'code', id: `cell-${i}`, execution_count: null, metadata: {}, outputs: [], source: text.split(/(?<=\n)/) })),
  metadata: { language_info: { name: 'python' } }, nbformat: 4, nbformat_minor: 5,
};

let code;
before(async () => {
  emptied(HOME);
  const files = Object.fromEntries(NAMES.map((name) => [`${name}.py`, `${PATTERN}\n`]));
  files['settings.py'] = files['line.py'] = SETTINGS;
  files['long.py'] = files['other.py'] = LONG;
  files['book.ipynb'] = JSON.stringify(NOTEBOOK);
  const preferences = { 'files.defaultLanguage': 'python' };
  code = await VSCode.start(HOME, files, { settings: { 'infill.server.command': [process.env.INFILL_SERVER] }, preferences });
  await code.status('built-in');
}, { timeout: 300_000 });
after(() => code?.close());

// what a person would look at first when something is wrong
let failed = 0;
afterEach(async (context) => {
  if (context.passed === false) await code?.screenshot(`failed-${++failed}`);
});

const SLOW = { timeout: 240_000 };

/** Open a file and put the cursor after its last `return`. */
async function atReturn(name, page = code.page) {
  await code.open(`${name}.py`, page);
  await code.press('ArrowUp', page);
  await code.press('End', page);
  await code.at(10, 11, page);
}

test('a suggestion appears while typing, and Tab takes it into the file', SLOW, async () => {
  await atReturn('accept');
  const ghost = await code.ghostAfter(' ');
  await code.take(ghost);
  const text = await code.saved('accept.py');
  assert.ok(text.startsWith(`${PATTERN} ${ghost}`), JSON.stringify({ text, ghost }));
});

test('a suggestion of several lines is shown under the cursor, and taken line by line', SLOW, async () => {
  await code.open('line.py');
  const ghost = await code.ghostAfter('.');
  await code.press('Control+Alt+ArrowRight');
  await until(async () => (await code.ghost()) !== ghost, 'a line was taken');
  await code.press('Escape');
  assert.equal((await code.saved('line.py')).trimEnd(), `${SETTINGS}.${ghost}`.trimEnd());
  await code.open('settings.py');
  await code.ghostAfter('.');
  await code.press('Escape');
  // the first line was shown as soon as it was there: by now the rest is too
  await code.press('Alt+Backslash');
  await until(async () => (await code.page.locator('.view-zones .ghost-text').count()) > 0, 'there is a second line');
  await code.screenshot('ghost');
});

test('the status bar names the model that answers', SLOW, async () => {
  assert.match(await (await code.status('built-in')).innerText(), /infill: built-in/);
});

test('typing what is suggested keeps the rest, a word at a time or all at once', SLOW, async () => {
  await atReturn('word');
  const ghost = await code.ghostAfter(' ');
  await code.type(ghost[0]);
  await until(async () => (await code.ghost()) === ghost.slice(1), `the ghost text is ${ghost.slice(1)}`);
  await code.appears();
  await code.press('Control+ArrowRight');
  await until(async () => (await code.ghost()) !== ghost.slice(1), 'a word was taken');
  await code.press('Escape');
  const text = await code.saved('word.py');
  const taken = text.slice(PATTERN.length + 1).trimEnd();
  assert.ok(taken.length > 1 && ghost.startsWith(taken), JSON.stringify({ taken, ghost }));
});

test('Escape dismisses the suggestion and nothing of it stays', SLOW, async () => {
  await atReturn('dismiss');
  await code.ghostAfter(' ');
  await code.press('Escape');
  await code.vanishes();
  assert.equal(await code.saved('dismiss.py'), `${PATTERN} \n`);
});

test('text before the cursor that is not ASCII leaves every position right', SLOW, async () => {
  await code.open('unicode.py');
  const ghost = await code.ghostAfter("naïve = '😀 e\u0301'; x = add(1, ");
  await code.take(ghost);
  const text = await code.saved('unicode.py');
  assert.ok(text.includes(`naïve = '😀 e\u0301'; x = add(1, ${ghost}`), JSON.stringify({ text, ghost }));
});

test('a suggestion and the completion list stand side by side', SLOW, async () => {
  await atReturn('popup');
  await code.ghostAfter(' ');
  await code.press('Escape');
  await code.type('fir');
  await code.press('Control+Space');
  await code.page.waitForSelector('.suggest-widget.visible .monaco-list-row.focused:has-text("first")');
  await code.screenshot('popup');
  await code.press('Tab');
  await code.page.waitForSelector('.suggest-widget.visible', { state: 'hidden' });
  await code.press('Escape');
  assert.match(await code.saved('popup.py'), /return first/);
});

test('asked by key, several candidates come and can be cycled', SLOW, async () => {
  await atReturn('cycle');
  await code.ghostAfter(' ');
  await code.press('Escape');
  await code.vanishes();
  await code.press('Alt+Backslash');
  const one = await code.appears();
  await code.press('Alt+]');
  await until(async () => ![undefined, one].includes(await code.ghost()), 'another candidate');
  const other = await code.appears();
  await code.take(other);
  assert.ok((await code.saved('cycle.py')).includes(`return ${other}`.trimEnd()));
});

test('with the engine killed under a suggestion, the suggestion can be taken and the next one comes', SLOW, async () => {
  await atReturn('crash');
  const ghost = await code.ghostAfter(' ');
  const first = code.engine();
  process.kill(first, 'SIGKILL');
  await code.take(ghost);
  await code.ghostAfter('\n\n\ndef divide(first, second):\n    return ');
  assert.notEqual(code.engine(), first);
  assert.ok((await code.saved('crash.py')).startsWith(`${PATTERN} ${ghost}`));
});

test('the server killed is started again by itself', SLOW, async () => {
  const [first] = code.servers();
  await atReturn('killed');
  process.kill(first, 'SIGKILL');
  await until(() => code.servers().some((server) => server !== first), 'another server runs');
  await code.status('built-in');
  const ghost = await code.ghostAfter(' ');
  await code.take(ghost);
  assert.ok((await code.saved('killed.py')).startsWith(`${PATTERN} ${ghost}`));
});

test('switched off, no suggestion comes and the server leaves; switched on, both are back', SLOW, async () => {
  await code.command('infill: Disable Completions');
  await until(() => code.servers().length === 0, 'the server has left');
  await code.status('infill: off');
  await atReturn('off');
  await code.type(' ');
  assert.equal(await code.saved('off.py'), `${PATTERN} \n`);
  assert.equal(await code.ghost(), undefined);
  await code.command('infill: Enable Completions');
  await code.status('built-in');
  await code.focused('off.py');
  await code.press('Backspace');
  assert.notEqual(await code.ghostAfter(' '), undefined);
});

test('the status bar tells the states apart, and its menu offers what it will do now', SLOW, async () => {
  await atReturn('states');
  await (await code.status('built-in')).click();
  await code.asked('infill: ');
  await code.screenshot('menu');
  await code.pick('Disable Completions for Python');
  await code.status('off for Python');
  await code.screenshot('off-for-language');
  await (await code.status('off for Python')).click();
  await code.pick('Enable Completions for Python');
  await code.status('built-in');
  await code.command('infill: Snooze Completions...');
  await code.pick('15 minutes');
  const item = await code.status('snoozed until');
  await item.hover();
  await code.page.locator('.monaco-hover:has-text("End Snooze")').waitFor();
  await code.screenshot('snoozed');
  await code.command('infill: End Snooze');
  await code.status('built-in');
  await code.focused('states.py');
  assert.notEqual(await code.ghostAfter(' '), undefined);
});

test('why there was a suggestion is told in one sentence first, in one panel', SLOW, async () => {
  for (let times = 0; times < 2; times++) await code.command('infill: Explain the Last Suggestion');
  const lead = code.webview().locator('p.lead');
  await lead.waitFor();
  assert.match(await lead.innerText(), /suggestion/i);
  await code.screenshot('explain');
  assert.equal(await code.page.locator('.tab:has-text("infill: the last suggestion")').count(), 1);
  const tab = code.page.locator('.tab:has-text("infill: the last suggestion")');
  await tab.hover();
  await tab.locator('.tab-actions .action-label').first().click();
  await tab.waitFor({ state: 'detached' });
});

test('a file that was never saved gets suggestions, and they are in it when it is', SLOW, async () => {
  const known = new Set(fs.readdirSync(code.workspace));
  await code.command('File: New Untitled Text File');
  await code.page.waitForSelector('.tab.active:has-text("Untitled-1")');
  await code.focused('Untitled-1');
  const ghost = await code.ghostAfter(`${PATTERN} `);
  await code.take(ghost);
  await code.press('Control+s');
  const input = code.page.locator('.quick-input-widget input:focus');
  // the name that the dialog proposes is taken as it is: while it completes names, what is typed may get lost
  await until(async () => (await input.inputValue()).endsWith('.py'), 'a name is proposed');
  await code.press('Enter');
  const isOurs = (name) => name.endsWith('.py') && !known.has(name) && fs.readFileSync(path.join(code.workspace, name), 'utf8').startsWith(PATTERN);
  const name = await until(() => fs.readdirSync(code.workspace).find(isOurs), 'it is saved');
  const text = fs.readFileSync(path.join(code.workspace, name), 'utf8');
  assert.ok(text.startsWith(`${PATTERN} ${ghost}`), JSON.stringify({ text, ghost }));
});

test('a cell of a notebook gets suggestions that know the cells above', SLOW, async () => {
  await code.page.locator('.explorer-folders-view .monaco-list-row', { hasText: 'book.ipynb' }).dblclick();
  await code.page.waitForSelector('.tab.active:has-text("book.ipynb")');
  const cell = code.page.locator('.notebook-editor .monaco-list-row.code-cell-row').nth(1);
  await cell.locator('.view-lines').click();
  await code.page.waitForSelector('.notebook-editor .monaco-editor.focused');
  await code.press('Control+End');
  const ghost = await code.ghostAfter(' ');
  await code.screenshot('notebook');
  await code.take(ghost);
  const { cells } = JSON.parse(await code.saved('book.ipynb'));
  const text = cells[1].source.join('');
  assert.equal(cells[0].source.join(''), CELLS[0]);
  assert.ok(text.startsWith(`${CELLS[1]} ${ghost}`), JSON.stringify({ text, ghost }));
});

// on empty lines: elsewhere VS Code asks for code actions, and that tells the server the place too
test('the line where a file is opened, and the one that is jumped to, are read before the first key falls', SLOW, async () => {
  await code.goTo('long.py');
  const top = await until(() => code.tokens('long.py'), "the file's top is read");
  await code.press('Control+End');
  await until(() => code.tokens('long.py') > top, "the file's end is read");
  await code.goTo('other.py', ':400');
  await code.at(400, 1);
  await until(() => code.tokens('other.py') > top, 'the place where the file was opened is read');
});

test('with the built-in model, Generate offers to download one that can', SLOW, async () => {
  await code.open('accept.py');
  await code.command('infill: Generate Code...');
  const toast = code.toast('Download a model to generate code');
  await toast.locator('.monaco-button:has-text("Download a Model")').waitFor();
  await code.screenshot('generate-built-in');
});

test('a second window shares the engine', SLOW, async () => {
  const first = code.engine();
  const page = await code.window();
  await code.status('built-in', page);
  await atReturn('second', page);
  await code.ghostAfter(' ', page);
  assert.equal(code.servers().length, 2);
  assert.equal(code.engine(), first);
  await page.context().close();
});
