import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nameOf, pairOf, sideBySide, totals, type Kept, type Statistics } from '../src/statistics';

const kept = (provider: string, model: string, more: Partial<Kept> = {}): Kept => ({ provider, model, shown: 0, accepted: 0, characters: 0, p50: 0, p95: 0, tokensPerSecond: 0, ...more });
const LOCAL = kept('local', 'local:bundled', { shown: 8, accepted: 2, characters: 40, p50: 31, p95: 60, tokensPerSecond: 900 });
const FAR = kept('ollama:home', 'coder', { shown: 4, accepted: 3, characters: 90, p50: 210, p95: 400 });
const THIRD = kept('mistral:work', 'coder');
const stats = (...byModel: Kept[]): Statistics => ({ shown: 12, accepted: 5, partly: 1, characters: 130, latency: { p50: 40, p95: 300 }, byModel });

test('one model of two providers has two names', () => {
  assert.deepEqual([LOCAL, FAR, THIRD].map(nameOf), ['local:bundled', 'ollama:home coder', 'mistral:work coder']);
});

test('the two that were shown most stand side by side until others are chosen', () => {
  const all = stats(LOCAL, FAR, THIRD);
  assert.deepEqual(pairOf(all, []), [LOCAL, FAR]);
  assert.deepEqual(pairOf(all, [nameOf(THIRD), nameOf(LOCAL)]), [THIRD, LOCAL]);
  assert.deepEqual(pairOf(all, ['gone', nameOf(THIRD)]), [LOCAL, FAR]);
  assert.equal(pairOf(stats(LOCAL), []), undefined);
});

test('side by side are acceptance, latency, characters saved and speed', () => {
  const rows = [...sideBySide([LOCAL, FAR]).matchAll(/<tr>(.*?)<\/tr>/g)].map((row) => [...(row[1] ?? '').matchAll(/>([^<]*)<\/t[hd]>/g)].map((cell) => cell[1]));
  assert.deepEqual(rows, [
    ['', 'local:bundled', 'ollama:home coder'],
    ['suggestions shown', '8', '4'],
    ['accepted', '2 (25 %)', '3 (75 %)'],
    ['characters of typing saved', '40', '90'],
    ['latency, median', '31 ms', '210 ms'],
    ['latency, 95th percentile', '60 ms', '400 ms'],
    ['tokens per second', '900', '-'],
  ]);
});

test('speeds are drawn of models that were measured, and nothing where there is only one', () => {
  const drawn = (...models: Kept[]): number => totals(stats(...models)).match(/>\d+\.\d tokens\/s</g)?.length ?? 0;
  assert.equal(drawn(LOCAL, FAR, { ...THIRD, tokensPerSecond: 20 }), 2);
  assert.equal(drawn(LOCAL, FAR), 0);
  assert.ok(!totals(stats(LOCAL)).includes('<svg'));
});
