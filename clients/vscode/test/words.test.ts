import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Generated, Model } from '../src/protocol';
import { bytes, changeBetween, editsOf, fullTitle, grouped, isAtLeast, isOlder, label, nest, summary, versionIn } from '../src/words';

const model: Model = {
  id: 'local:qwen2.5-coder-1.5b-q8_0', title: 'Qwen2.5-Coder 1.5B', provider: 'local', parameters: '1.5B', quantization: 'q8_0', size: 1_646_573_056,
  licence: 'Apache-2.0', installed: false, active: false, fit: 'fits', why: '', tokensPerSecond: 30.4, state: 'available', roles: ['complete'],
};

test('sizes are in the unit that people use', () => {
  assert.equal(bytes(0), '');
  assert.equal(bytes(12_745_600), '13 MB');
  assert.equal(bytes(1_646_573_056), '1.6 GB');
});

test('a model is named with its quantization, once', () => {
  assert.equal(label(model), '$(cloud-download) Qwen2.5-Coder 1.5B Q8_0');
  assert.equal(fullTitle({ ...model, title: 'mine-Q8_0' }), 'mine-Q8_0');
  assert.equal(fullTitle({ ...model, quantization: '' }), 'Qwen2.5-Coder 1.5B');
});

test('the line of a model begins with what decides, and never says that it writes nothing', () => {
  assert.equal(summary(model), '1.6 GB · about 30 tokens/s · Apache-2.0');
  assert.equal(summary({ ...model, continuesOnly: true }), '1.6 GB · about 30 tokens/s · continues only · Apache-2.0');
  assert.equal(summary({ ...model, tokensPerSecond: 0.4 }), '1.6 GB · about 1 tokens/s · slow on this machine · Apache-2.0');
  assert.equal(summary({ ...model, state: 'downloading', progress: 0.428, commercial: false }), 'downloading, 42 % · 1.6 GB · about 30 tokens/s · non-commercial license · Apache-2.0');
});

test('models are grouped, and the icon tells the groups apart', () => {
  const one = (id: string, facts: Partial<Model>): Model => ({ ...model, id, ...facts });
  const models = [
    one('big', { fit: 'too big' }), one('other', {}), one('best', { recommended: ['complete'] }), one('mine', { installed: true, state: 'installed' }),
    one('used', { installed: true, active: true, fit: 'too big' }), one('far', { fit: 'remote', installed: true }),
  ];
  assert.deepEqual(grouped(models).map(([group, found]) => [group, ...found.map(({ id }) => id)]), [
    ['installed', 'mine', 'used'], ['recommended', 'best'], ['remote', 'far'], ['others', 'other'], ['tooBig', 'big'],
  ]);
  assert.deepEqual(models.map((each) => /\$\((.*?)\)/.exec(label(each))?.[1]), ['circle-slash', 'cloud-download', 'star-full', 'package', 'check', 'cloud']);
});

test('the change between two texts is the smallest, and cuts no character in half', () => {
  const apply = (before: string, after: string): string => {
    const change = changeBetween(before, after);
    return change ? before.slice(0, change.start) + change.text + before.slice(change.end) : before;
  };
  const parts = ['', 'a', 'aa', 'ab\r\n', '😀', '😁', 'x😀y', '\n'];
  for (const one of parts) for (const two of parts) for (const three of parts) assert.equal(apply(one + two, two + three), two + three);
  assert.deepEqual(changeBetween('a\nb\n', 'a\nnew\nb\n'), { start: 2, end: 2, text: 'new\n' });
  assert.deepEqual(changeBetween('a😀b', 'a😁b'), { start: 1, end: 3, text: '😁' });
  assert.equal(changeBetween('same', 'same'), undefined);
});

test('edits are found in both shapes of a workspace edit', () => {
  const edit = { range: { start: { line: 0, character: 0 }, end: { line: 0, character: 0 } }, newText: 'x' };
  const generated = (shape: Generated['edit']): Generated => ({ id: '1', text: 'x', notes: [], edit: shape });
  assert.deepEqual(editsOf(generated({ changes: { 'file:///a': [edit] } })), [edit]);
  assert.deepEqual(editsOf(generated({ documentChanges: [{ edits: [edit] }] })), [edit]);
});

test('an older server is refused, an equal or newer one taken, and noise is no version', () => {
  assert.deepEqual(versionIn('infill 1.20.3\n'), [1, 20, 3]);
  assert.equal(versionIn('command not found'), undefined);
  assert.equal(isAtLeast([0, 1, 0], [0, 1, 0]), true);
  assert.equal(isAtLeast([0, 0, 9], [0, 1, 0]), false);
  assert.equal(isAtLeast([1, 0, 0], [0, 9, 9]), true);
});

test('a server that came before the extension is older, one that is newer or says no version is not', () => {
  assert.equal(isOlder('0.9.12', '0.10.0'), true);
  assert.equal(isOlder('0.10.0', '0.10.0'), false);
  assert.equal(isOlder('1.0.0', '0.10.0'), false);
  assert.equal(isOlder('unknown', '0.10.0'), false);
});

test('settings that somebody set travel as nested objects', () => {
  const set = {};
  nest(set, ['completion', 'maxTokens'], 96);
  nest(set, ['completion', 'multiline'], false);
  nest(set, ['enabled'], true);
  assert.deepEqual(set, { completion: { maxTokens: 96, multiline: false }, enabled: true });
});
