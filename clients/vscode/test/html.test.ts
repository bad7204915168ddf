import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bars, table } from '../src/html';

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
