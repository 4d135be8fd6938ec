// SPDX-License-Identifier: Apache-2.0
// Flag files of other products: `opmaat flag eval` against the products' own SDKs from npm, on files and people at random.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { GrowthBook } from '@growthbook/growthbook';
import { createInstance, createStaticProjectConfigManager } from '@optimizely/optimizely-sdk';
import { binary, long, environment } from './lib/server.mjs';
import { attributes, growthbook, id, optimizely, rng } from './lib/random.mjs';

const folder = mkdtempSync(join(tmpdir(), 'opmaat-flags-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const files = long ? 400 : 40, people = 100;        // pairs of (file, attributes): files x people

function evaluate(from, file, lines, more = []) {
  const path = join(folder, `${from}.json`);
  writeFileSync(path, JSON.stringify(file));
  return new Promise((done, failed) => {
    const child = spawn(binary, ['flag', 'eval', '--from', from, path, '--attributes', '-', ...more], { env: environment() });
    let out = '', error = '';
    child.stdout.setEncoding('utf8');
    child.stdout.on('data', (d) => { out += d; });
    child.stderr.on('data', (d) => { error += d; });
    child.on('close', (code) => (code === 0 ? done(out.trim().split('\n').map((line) => JSON.parse(line))) : failed(new Error(error))));
    child.stdin.end(lines.map((line) => JSON.stringify(line)).join('\n'));
  });
}

const plain = (v) => (v === undefined ? null : JSON.parse(JSON.stringify(v)));

test('a GrowthBook payload says the same here and in its SDK', { timeout: 600000 }, async () => {
  const quiet = console.error;
  console.error = () => {};
  try {
    for (let seed = 1; seed <= files; seed++) {
      const r = rng(seed * 7919), file = growthbook(r);
      const lines = Array.from({ length: people }, () => attributes(r)), keys = Object.keys(file.features);
      const got = await evaluate('growthbook', file, lines);
      assert.equal(got.length, lines.length * keys.length);
      lines.forEach((line, i) => keys.forEach((key, k) => {
        const sdk = new GrowthBook({ features: file.features, savedGroups: file.savedGroups, contextualBandits: file.contextualBandits, attributes: line });
        sdk.initSync?.({ payload: file });
        const want = sdk.evalFeature(key), have = got[i * keys.length + k];
        const said = { flag: key, value: plain(want.value), on: want.on, source: want.source, rule: want.ruleId || null,
          variation: want.experimentResult?.key ?? null, index: want.experimentResult?.variationId };
        assert.deepEqual({ flag: have.flag, value: have.value, on: have.enabled, source: have.reason, rule: have.rule, variation: have.variation, index: have.variation_index }, said,
          `seed ${seed}, ${key}: ${JSON.stringify(file.features[key])} for ${JSON.stringify(line)}`);
      }));
    }
  } finally {
    console.error = quiet;
  }
});

test('an Optimizely datafile says the same here and in its SDK', { timeout: 600000 }, async () => {
  for (let seed = 1; seed <= files; seed++) {
    const r = rng(seed * 104729);
    const lines = Array.from({ length: people }, () => {
      const line = attributes(r, true);
      if (r.chance(0.1)) line.$opt_bucketing_id = r.chance(0.8) ? id(r) : 7;
      return { user_id: id(r), ...line };
    });
    const file = optimizely(r, lines.map((line) => line.user_id).slice(0, 10));
    for (const line of lines) {
      if (r.chance(0.1) && file.experiments.length) {
        const x = r.one(file.experiments);
        line.$opt_experiment_bucket_map = { [x.id]: { variation_id: r.chance(0.8) ? r.one(x.variations).id : 'gone' } };
      }
    }
    const sdk = createInstance({ projectConfigManager: createStaticProjectConfigManager({ datafile: JSON.stringify(file) }) });
    const got = await evaluate('optimizely', file, lines, ['--segments', 'vip']);
    assert.equal(got.length, lines.length * file.featureFlags.length);
    lines.forEach((line, i) => {
      const person = sdk.createUserContext(line.user_id, line);
      person.qualifiedSegments = ['vip'];
      file.featureFlags.forEach((flag, k) => {
        const want = person.decide(flag.key, ['DISABLE_DECISION_EVENT']), have = got[i * file.featureFlags.length + k];
        assert.deepEqual({ flag: have.flag, variation: have.variation, enabled: have.enabled, variables: have.variables, rule: have.rule },
          { flag: flag.key, variation: want.variationKey, enabled: want.enabled, variables: plain(want.variables), rule: want.ruleKey },
          `seed ${seed}, ${JSON.stringify(flag)} for ${JSON.stringify(line)}: ${JSON.stringify(have)}`);
      });
    });
    sdk.close();
  }
});
