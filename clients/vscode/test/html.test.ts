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

test('the longest bar fills the width and the others are in proportion', () => {
  const svg = bars([{ name: 'a', value: 10, unit: 'ms' }, { name: 'b', value: 5, unit: 'ms' }]);
  assert.match(svg, /width="300\.0"/);
  assert.match(svg, /width="150\.0"/);
});

test('a name too long for its column is cut, and whole in the tooltip', () => {
  const name = 'n'.repeat(50);
  const svg = bars([{ name, value: -1, unit: 'ms' }]);
  assert.ok(svg.includes(`>${'n'.repeat(31)}…<title>${name}</title>`));
  assert.match(svg, /width="0\.0"/);
});

test('a grid escapes its head and its cells', () => {
  assert.equal(grid(['<a>', 'b'], [['c', '&']]), '<table><tr><th>&#60;a&#62;</th><th>b</th></tr><tr><th>c</th><td>&#38;</td></tr></table>');
});
