import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Status } from '../src/protocol';
import { shortName, view, type Facts } from '../src/state';

const status: Status = { kind: 'ready', message: 'Ready', provider: 'local', model: 'local:qwen2.5-coder-1.5b-q8_0', busy: false };
const facts: Facts = { enabled: true, starting: false, status, language: { id: 'python', name: 'Python', on: true }, snoozedUntil: '', ghostText: true };
const text = (changes: Partial<Facts>): string => view({ ...facts, ...changes }).text;

test('the status item names the product and the model, without provider and quantization', () => {
  assert.equal(text({}), '$(infill-logo) infill: qwen2.5-coder-1.5b');
  assert.equal(text({ status: { ...status, model: 'local:bundled' } }), '$(infill-logo) infill: built-in');
  assert.equal(shortName('local:/home/me/models/My.Model-Q4_K_M.gguf'), 'My.Model');
  assert.equal(shortName('local:file:mine-iq3_xs'), 'file:mine');
});

test('each state can be told from the others by icon and text', () => {
  const texts = [
    text({}),
    text({ enabled: false }),
    text({ starting: true, status: undefined }),
    text({ status: undefined }),
    text({ language: { id: 'python', name: 'Python', on: false } }),
    text({ snoozedUntil: '12:30' }),
    text({ status: { ...status, kind: 'loading', message: 'Loading x (42%)', busy: true } }),
    text({ status: { ...status, kind: 'generating', busy: true } }),
    text({ status: { ...status, kind: 'warning' } }),
    text({ status: { ...status, kind: 'error' } }),
    text({ status: { ...status, offline: true } }),
    text({ status: { ...status, provider: 'ollama:lab', model: 'ollama:lab/coder' } }),
  ];
  assert.equal(new Set(texts).size, texts.length);
  assert.deepEqual(texts.slice(1, 7), [
    '$(infill-off) infill: off', '$(loading~spin) infill: starting', '$(debug-disconnect) infill: not running', '$(infill-off) infill: off for Python',
    '$(bell-slash) infill: snoozed until 12:30', '$(loading~spin) infill: qwen2.5-coder-1.5b 42 %',
  ]);
  assert.deepEqual(texts.slice(9), ['$(error) infill: error', '$(infill-logo) infill: qwen2.5-coder-1.5b (offline)', '$(infill-logo) infill: coder (ollama:lab)']);
});

test('an error is told even where completions are disabled for the language, and disabled everywhere comes first', () => {
  const off = { id: 'python', name: 'Python', on: false };
  assert.equal(view({ ...facts, language: off, status: { ...status, kind: 'error', message: 'No memory.' } }).sentence, 'No memory.');
  assert.equal(view({ ...facts, enabled: false, status: { ...status, kind: 'error' } }).kind, 'off');
});

test('where VS Code shows no ghost text, the state says so', () => {
  assert.match(view({ ...facts, ghostText: false }).sentence, /editor\.inlineSuggest\.enabled/);
});
