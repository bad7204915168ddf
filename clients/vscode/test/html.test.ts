import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bars, grid, table } from '../src/html';

test('nothing from the server can become markup', () => {
  assert.ok(!table({ '<b>': '<script>alert(1)</script>' }).includes('<script'));
  assert.ok(!bars([{ name: '"><img src=x>', value: 1, unit: '<i>' }]).includes('<img'));
});

test('nested facts become nested tables, empty ones disappear', () => {
  assert.equal(table({ a: { b: 1.25 }, c: [] }), '<table><tr><th>a</th><td><table><tr><th>b</th><td>1.3</td></tr></table></td></tr><tr><th>c</th><td></td></tr></table>');
});

test('the longest bar fills the width, the others are in proportion, and a column of 400 px has room for all', () => {
  const svg = bars([{ name: 'a', value: 10, unit: 'ms' }, { name: 'b', value: 5, unit: 'ms' }]);
  assert.match(svg, /width="190\.0"/);
  assert.match(svg, /width="95\.0"/);
  assert.ok(Number(/<svg[^>]* width="(\d+)"/.exec(svg)?.[1]) <= 360);
});

test('a chart is told to screen readers, its title first', () => {
  assert.match(bars([{ name: 'one', value: 10, unit: 'ms' }], 'Latency'), /role="img" aria-label="Latency; one 10\.0 ms"/);
});

test('a grid escapes its head and its cells', () => {
  assert.equal(grid(['<a>', 'b'], [['c', '&']]), '<table><tr><th>&#60;a&#62;</th><th>b</th></tr><tr><th>c</th><td>&#38;</td></tr></table>');
});
