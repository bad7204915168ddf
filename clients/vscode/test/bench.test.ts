import assert from 'node:assert/strict';
import { test } from 'node:test';
import { benchResults } from '../src/bench';

const MACHINE = { cpu: 'Some CPU', physical_cores: 4, memory_bytes: 8e9, infill: '0.1.0', load: 0.05 };
const run = (side: string, p50: number): object => ({ side, figures: { latency: { p50, p95: 2 * p50 }, pauses: 10, pauses_seen: 9, characters_saved: 300 }, moments: [] });
const cells = (html: string): string[] => [...html.matchAll(/<t[hd]>([^<]*)<\/t[hd]>/g)].map((match) => match[1] ?? '');

test('typing shows the median over the runs of each side, on which machine, and bars', () => {
  const runs = [run('infill', 30), run('infill', 50), run('infill', 40), run('llama-server', 90)];
  const html = benchResults('typing.json', JSON.stringify({ machine: MACHINE, comparisons: [{ model: 'bundled', runs }] }));
  assert.deepEqual(cells(html).slice(5), ['bundled, infill', '40 ms', '80 ms', '90 %', '300', 'bundled, llama-server', '90 ms', '180 ms', '90 %', '300']);
  assert.match(html, /Some CPU, 4 cores, 8\.0 GB; infill 0\.1\.0; load 0\.05/);
  assert.equal(html.match(/<rect/g)?.length, 2);
});

test('speed shows what is known of each model, and a dash for what is not', () => {
  const html = benchResults('speed.json', JSON.stringify({ speeds: [{ name: 'far', generate_per_second: 61.25, evaluate_per_second: 0, first_token_ms: 12.5, load_ms: 0, resident_bytes: 0 }] }));
  assert.deepEqual(cells(html).slice(6), ['far', '61.3 tokens/s', '-', '12.5 ms', '-', '-']);
});

test('each target stands beside what was measured, also in the file that bench table keeps', () => {
  const rows = [
    { what: 'speed', measured: 0.98, target: 0.97, unit: 'x', at_least: true, note: 'on 2 threads', unknown: '' },
    { what: 'memory', measured: 150, target: 120, unit: 'MB', at_least: false, note: '', unknown: '' },
    { what: 'heat', measured: 0, target: 1, unit: '', at_least: false, note: '', unknown: 'no sensor' },
  ];
  const wanted = ['speed', 'at least 0.97 x', '0.98 x', 'met', 'on 2 threads', 'memory', 'at most 120 MB', '150 MB', 'missed', '', 'heat', 'at most 1', '-', 'no sensor', ''];
  for (const saved of [{ rows }, { measured: { rows } }]) assert.deepEqual(cells(benchResults('table.json', JSON.stringify(saved))).slice(5), wanted);
});

test('a file that is no bench result gets a sentence with the next step', () => {
  for (const content of ['', 'nonsense', 'null', '[]', '{}', '5', '{"rows": [1, {"what": 3}]}', '{"speeds": {"name": "x"}}', '{"comparisons": [{"runs": 7}]}', '['.repeat(100_000)]) {
    assert.match(benchResults('notes.json', content), /notes\.json is no result of infill bench.*infill bench speed --json/, content.slice(0, 40));
  }
});

test('nothing in a file becomes markup, and no file a page without end', () => {
  const bad = '<img src=x onerror=alert(1)>';
  const speeds = Array.from({ length: 5000 }, () => ({ name: bad + 'x'.repeat(10_000), generate_per_second: 1 }));
  const html = benchResults(bad, JSON.stringify({ machine: { cpu: bad }, speeds, rows: [{ what: bad, target: 1, note: bad, unit: bad, unknown: bad }] }));
  assert.ok(!html.includes('<img'));
  assert.ok(html.length < 100_000, `${html.length} characters`);
});
