import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';
import { Cursor } from '../src/cursor';
import { editorChanged, optionsChanged, selectionChanged, textChanged, window } from './vscode';

/** A place on the only line of a document. */
const at = (character: number): object => ({ character, isEqual: (other: { character: number }) => other.character === character });
const page = (name: string): object => ({ name, positionAt: at });
const [one, other] = [page('one'), page('other')];
const told: string[] = [];
const indentations: object[] = [];
let options: object;
let cursor: Cursor;

function goTo(document: object, character: number): void {
  window.activeTextEditor = { document, options, selection: { active: at(character) } };
  selectionChanged.fire({});
}

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ['setTimeout'] });
  window.activeTextEditor = undefined;
  told.length = indentations.length = 0;
  options = { tabSize: 4, insertSpaces: true };
  cursor = new Cursor((document, position, indentation) => {
    told.push(`${(document as unknown as { name: string }).name} ${position.character}`);
    indentations.push(indentation);
  });
});
afterEach(() => { cursor.dispose(); });

test('where the cursor is when the server has started is told without a key', () => {
  window.activeTextEditor = { document: one, options, selection: { active: at(7) } };
  mock.timers.tick(200);
  assert.deepEqual(told, ['one 7']);
});

test('a held arrow key tells only where it came to rest', () => {
  for (let character = 1; character < 50; character++) {
    goTo(one, character);
    mock.timers.tick(30);
  }
  assert.deepEqual(told, []);
  mock.timers.tick(200);
  assert.deepEqual(told, ['one 49']);
});

test('another file is told with the place in it, and so is the first one when it is back', () => {
  for (const document of [one, other, one]) {
    goTo(document, 3);
    editorChanged.fire({});
    mock.timers.tick(200);
  }
  assert.deepEqual(told, ['one 3', 'other 3', 'one 3']);
});

test('typing tells nothing twice, and a jump from there is told', () => {
  textChanged.fire({ document: one, contentChanges: [{ rangeOffset: 4, text: 'ab' }] });
  goTo(one, 6);
  mock.timers.tick(200);
  assert.deepEqual(told, []);
  goTo(one, 0);
  mock.timers.tick(200);
  goTo(one, 6);
  mock.timers.tick(200);
  assert.deepEqual(told, ['one 0', 'one 6']);
});

test('a change elsewhere, such as by a formatter, hides no later jump', () => {
  textChanged.fire({ document: one, contentChanges: [{ rangeOffset: 90, text: '\n' }] });
  goTo(one, 6);
  mock.timers.tick(200);
  assert.deepEqual(told, ['one 6']);
});

test('with no editor open, or with the server gone, nothing is told', () => {
  selectionChanged.fire({});
  mock.timers.tick(200);
  goTo(one, 6);
  cursor.dispose();
  goTo(one, 7);
  mock.timers.tick(200);
  assert.deepEqual(told, []);
});

test('how the document is indented is told with the place, and again when it changes', () => {
  goTo(one, 3);
  mock.timers.tick(200);
  options = { tabSize: 8, insertSpaces: false };
  goTo(one, 3);
  optionsChanged.fire({});
  mock.timers.tick(200);
  options = { tabSize: 'auto' };
  goTo(one, 4);
  mock.timers.tick(200);
  assert.deepEqual(indentations, [{ tabSize: 4, insertSpaces: true }, { tabSize: 8, insertSpaces: false }, {}]);
});
