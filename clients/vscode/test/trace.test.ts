import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LogOutputChannel } from 'vscode';
import { tracing } from '../src/trace';
import { LogLevel, set } from './vscode';

test('the setting turns the trace on and off, and its lines are in the log', () => {
  const lines: string[] = [];
  const trace = tracing({ logLevel: LogLevel.Off, info: (line: string) => lines.push(line) } as unknown as LogOutputChannel);
  const levels: number[] = [];
  trace.onDidChangeLogLevel((level) => levels.push(level));
  assert.equal(trace.logLevel, LogLevel.Off);
  set('infill.trace.server', 'messages');
  assert.equal(trace.logLevel, LogLevel.Trace);
  trace.trace('Sending request');
  set('infill.trace.server', 'off');
  assert.deepEqual(levels, [LogLevel.Trace, LogLevel.Off]);
  assert.deepEqual(lines, ['Sending request']);
});
