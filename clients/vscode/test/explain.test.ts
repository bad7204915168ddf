import assert from 'node:assert/strict';
import { test } from 'node:test';
import { facts, sentence, type Explained } from '../src/explain';

const asked: Explained = {
  request: { uri: 'file:///a.py', language: 'python', automatic: true, line: 4, charactersBefore: 92, charactersAfter: 0 },
  reason: '', suggestions: 1, provider: 'local', model: 'local:bundled', timings: { totalMs: 41.6, waitedMs: 12 }, answer: {}, prompt: null,
};

test('the explanation begins with one sentence', () => {
  assert.equal(sentence({ request: null }), 'No suggestion was requested yet.');
  assert.equal(sentence(asked), 'One suggestion was shown after 42 ms.');
  assert.equal(sentence({ ...asked, suggestions: 0, reason: 'text follows right of the cursor' }), 'No suggestion: text follows right of the cursor.');
  assert.match(sentence({ ...asked, suggestions: 0, heldBack: true, probability: 0.31 }), /unlikely to be right \(31 %\)/);
});

test('what was asked is told in words, without what is not known', () => {
  assert.deepEqual(facts(asked), { Requested: 'while typing, in line 4 (python)', Model: 'local:bundled', Time: '42 ms, of which 12 ms waiting for you to stop typing' });
  assert.deepEqual(facts({ request: null }), {});
  const cached = { ...asked, answer: { tokensGenerated: null, tokensEvaluated: null, tokensKept: null } };
  assert.equal('Tokens' in facts(cached), false, 'an answer from the cache has no tokens');
});
