// SPDX-License-Identifier: Apache-2.0
// random.mjs - flag files and attributes at random, from a seed: what two evaluators are compared with.

export function rng(seed) {
  let s = seed >>> 0 || 1;
  const next = () => {
    s ^= s << 13; s >>>= 0;
    s ^= s >>> 17;
    s ^= s << 5; s >>>= 0;
    return s / 2 ** 32;
  };
  const r = {
    unit: next,
    below: (n) => Math.floor(next() * n),
    chance: (p) => next() < p,
    one: (list) => list[Math.floor(next() * list.length)],
    some: (list, most) => Array.from({ length: r.below(most + 1) }, () => r.one(list)),
  };
  for (let i = 0; i < 20; i++) next();
  return r;
}

const words = ['NO', 'SE', 'PL', 'no', 'jeans', 'Żółć', 'żółć', 'ÆØÅ', 'Москва', 'москва', '😀', '', '0', '1', '10', '9', ' 7 ', 'true', 'null', 'a,b', '0x10', 'beta', 'ios'];
const numbers = [0, 1, 2, 3, 7, 9, 10, 16, 99, -1, 0.1, 1.5, 1e21, 1e-7, 123456789.125, 9007199254740992];
const versions = ['1.2.3', '1.2', '1', '2.0.0', '1.2.3-beta', '1.2.3-beta.1', '1.2.3-rc', '1.10.0', '1.9.9', 'v1.2.3', '1.2.3+build', '2.1.9', '2.1', '1.2.3.4', ' 1.2', '1.2-', '1.2.3+b-1', '3.7.1-prerelease+build', 'x'];
const patterns = ['^a', 'no', '(Mobile|ios)', '[0-9]+$', '^\\d+$', '\\bse\\b', 'ó', '\\u0142', 'a/b', '^$', '.'];
export const names = ['id', 'deviceId', 'country', 'age', 'premium', 'tags', 'address', 'version', 'score', 'companies', 'email', 'n'];

export function id(r) {
  return r.one([`user-${r.below(100000)}`, `ż-ółć${r.below(9999)}`, `😀${r.below(9999)}`, `用户${r.below(9999)}`, String(r.below(1e9)), `${r.below(1e6)}@shop.example`]);
}

function scalar(r) {
  return r.one([() => r.one(words), () => r.one(numbers), () => r.one(versions), () => r.chance(0.5), () => null])();
}

function anything(r, deep = 0) {
  if (deep < 2 && r.chance(0.2)) return Array.from({ length: r.below(4) }, () => anything(r, deep + 1));
  if (deep < 2 && r.chance(0.1)) return { [r.one(names)]: anything(r, deep + 1), value: scalar(r) };
  return scalar(r);
}

export function attributes(r, flat = false) {
  const out = {};
  if (r.chance(0.95)) out.id = r.chance(0.03) && !flat ? r.below(1000) : id(r);
  if (r.chance(0.5)) out.deviceId = id(r);
  if (r.chance(0.8)) out.country = r.one(words);
  if (r.chance(0.8)) out.age = r.chance(0.9) ? r.one(numbers) : r.one(words);
  if (r.chance(0.7)) out.premium = r.chance(0.8) ? r.chance(0.5) : scalar(r);
  if (r.chance(0.8)) out.version = r.one(versions);
  if (r.chance(0.5)) out.email = r.one(words) + '@shop.example';
  if (r.chance(0.5)) out.score = scalar(r);
  if (flat) return out;
  if (r.chance(0.6)) out.tags = r.some([...words, ...numbers], 4);
  if (r.chance(0.5)) out.address = r.chance(0.8) ? { city: r.one(words), zip: r.one(numbers), geo: { lat: r.one(numbers) } } : scalar(r);
  if (r.chance(0.5)) out.companies = Array.from({ length: r.below(3) }, () => ({ name: r.one(words), size: r.one(numbers), tags: r.some(words, 2) }));
  if (r.chance(0.4)) out.n = anything(r);
  return out;
}

/* ---- GrowthBook --------------------------------------------------------------------------------------------- */

const paths = [...names, 'address.city', 'address.zip', 'address.geo.lat', 'tags.0', 'tags.length', 'companies.1.name', 'missing', 'missing.deep'];

function operators(r, deep) {
  const op = r.one(['$eq', '$ne', '$lt', '$lte', '$gt', '$gte', '$in', '$nin', '$ini', '$nini', '$all', '$alli', '$regex', '$regexi', '$exists', '$not',
    '$size', '$elemMatch', '$type', '$veq', '$vne', '$vgt', '$vgte', '$vlt', '$vlte', '$inGroup', '$notInGroup', '$unheard']);
  const value = () => (r.chance(0.1) ? anything(r) : scalar(r));
  const one = {
    $in: () => r.some([...words, ...numbers], 5), $nin: () => r.some([...words, ...numbers], 5),
    $ini: () => r.some(words, 5), $nini: () => r.some(words, 5),
    $all: () => r.some(words, 2), $alli: () => r.some(words, 2),
    $regex: () => r.one(patterns), $regexi: () => r.one(patterns), $exists: () => r.chance(0.5),
    $not: () => conditionValue(r, deep + 1), $size: () => (r.chance(0.5) ? r.below(4) : { $gt: r.below(3) }),
    $elemMatch: () => (r.chance(0.5) ? operators(r, deep + 1) : { name: conditionValue(r, deep + 1) }),
    $type: () => r.one(['string', 'number', 'boolean', 'array', 'object', 'null', 'undefined']),
    $inGroup: () => r.one(['g1', 'g2', 'g3', 'g4', 'none']), $notInGroup: () => r.one(['g1', 'g2', 'g3', 'none']),
  }[op];
  const out = { [op]: r.chance(0.03) ? scalar(r) : one ? one() : op.startsWith('$v') ? r.one(versions) : value() };
  if ((op === '$regex' || op === '$regexi') && typeof out[op] !== 'string') out[op] = '^a';
  if (op === '$elemMatch' && (out[op] === null || typeof out[op] !== 'object')) out[op] = { $eq: 1 };
  return r.chance(0.2) && deep < 2 ? { ...out, ...operators(r, deep + 1) } : out;
}

function conditionValue(r, deep) {
  if (r.chance(0.35)) return scalar(r);
  if (r.chance(0.05)) return anything(r);
  return operators(r, deep);
}

export function condition(r, deep = 0) {
  const out = {};
  const n = r.chance(0.1) ? 0 : 1 + r.below(2);
  for (let i = 0; i < n; i++) {
    if (deep < 3 && r.chance(0.3)) {
      const op = r.one(['$or', '$nor', '$and', '$not', '$savedGroup']);
      if (op === '$not') out[op] = condition(r, deep + 1);
      else if (op === '$savedGroup') out[op] = r.one([{ id: 'g3' }, { id: 'g4' }, { id: 'g5' }, { id: 'g3', attributeKey: 'email' }, { id: 'none' }, 'g3']);
      else out[op] = Array.from({ length: r.below(3) }, () => condition(r, deep + 1));
    } else out[r.one(paths)] = conditionValue(r, deep);
  }
  return out;
}

function range(r) {
  const a = r.below(10001) / 10000, b = r.below(10001) / 10000;
  return [Math.min(a, b), Math.max(a, b)];
}

function experimentRule(r) {
  const n = r.chance(0.03) ? 1 : 2 + r.below(3);
  const rule = { variations: Array.from({ length: n }, () => anything(r)) };
  if (r.chance(0.5)) rule.key = `exp-${r.below(20)}`;
  if (r.chance(0.4)) rule.coverage = r.one([0, 0.1, 0.5, 0.9, 1, 1.2, -0.1]);
  if (r.chance(0.4)) rule.weights = r.chance(0.9) ? split(r, n) : [0.5, 0.6, 0.9];
  if (r.chance(0.2)) rule.ranges = Array.from({ length: n }, () => range(r));
  if (r.chance(0.4)) rule.hashVersion = r.one([1, 2, 2, 2, 3]);
  if (r.chance(0.3)) rule.seed = `seed-${r.below(9)}`;
  if (r.chance(0.3)) rule.hashAttribute = r.one(['id', 'deviceId', 'age', 'email', 'premium']);
  if (r.chance(0.2)) rule.fallbackAttribute = 'deviceId';
  if (r.chance(0.2)) rule.namespace = ['space', ...range(r)];
  if (r.chance(0.4)) rule.meta = rule.variations.map((_, i) => ({ key: r.one([`v${i}`, '', 'same']), name: `V ${i}`, passthrough: r.chance(0.1) }));
  if (r.chance(0.1)) rule.contextualBanditRef = r.one(['cb1', 'none']);
  if (rule.contextualBanditRef && r.chance(0.5)) { rule.contextualVariations = rule.variations; delete rule.variations; }
  return rule;
}

function split(r, n) {
  const parts = Array.from({ length: n }, () => 1 + r.below(9));
  const sum = parts.reduce((a, b) => a + b);
  return parts.map((p) => p / sum);
}

function rule(r, keys) {
  const out = r.chance(0.5) ? experimentRule(r) : { force: anything(r) };
  if ('force' in out) {
    if (r.chance(0.3)) out.coverage = r.one([0, 0.1, 0.5, 0.9, 1]);
    if (r.chance(0.1)) out.range = range(r);
    if (r.chance(0.2)) out.seed = `seed-${r.below(9)}`;
    if (r.chance(0.2)) out.hashVersion = r.one([1, 2]);
    if (r.chance(0.2)) out.hashAttribute = r.one(['id', 'deviceId']);
  }
  if (r.chance(0.6)) out.condition = condition(r);
  if (r.chance(0.5)) out.id = `rule-${r.below(99)}`;
  if (r.chance(0.15)) out.filters = [{ seed: 'layer', ranges: [range(r), range(r)], ...(r.chance(0.5) ? { hashVersion: 2 } : {}), ...(r.chance(0.3) ? { attribute: 'deviceId' } : {}) }];
  if (r.chance(0.2)) {
    out.parentConditions = [{ id: r.one(keys), condition: r.one([{ value: true }, { value: { $exists: true } }, { value: { $ne: 'NO' } }, {}]), ...(r.chance(0.4) ? { gate: true } : {}) }];
  }
  return out;
}

export function growthbook(r) {
  const keys = Array.from({ length: 4 + r.below(5) }, (_, i) => `flag-${i}`);
  const features = {};
  for (const key of keys) {
    features[key] = {};
    if (r.chance(0.9)) features[key].defaultValue = anything(r);
    if (r.chance(0.9)) features[key].rules = Array.from({ length: r.below(5) }, () => rule(r, keys));
  }
  const savedGroups = {
    g1: r.some(words, 5), g2: r.some(numbers, 5), g3: { type: 'list', attributeKey: 'country', values: r.some(words, 6) },
    g4: { type: 'condition', condition: condition(r, 2) }, g5: { type: 'unheard' },
  };
  const contextualBandits = {
    cb1: { banditVersion: 1, contexts: [{ leafId: 0, condition: condition(r, 2), weights: [0.1, 0.9] }, { leafId: 1, condition: condition(r, 2), weights: [0.9, 0.1] }] },
  };
  return { features, savedGroups, contextualBandits };
}

/* ---- Optimizely -------------------------------------------------------------------------------------------------- */

let nextId;
const fresh = () => String(nextId++);

function leaf(r) {
  if (r.chance(0.1)) return { type: 'third_party_dimension', name: 'odp.audiences', match: r.one(['qualified', 'qualified', 'unheard']), value: r.one(['vip', 'new']) };
  const match = r.one(['exact', 'exists', 'substring', 'gt', 'ge', 'lt', 'le', 'semver_eq', 'semver_gt', 'semver_ge', 'semver_lt', 'semver_le', undefined, 'unheard']);
  const value = match?.startsWith('semver') ? r.one(versions) : r.chance(0.1) ? scalar(r) : match === 'substring' ? r.one(['', 'a', 'ó', 'no', '@shop'])
    : ['gt', 'ge', 'lt', 'le'].includes(match) ? r.one(numbers) : r.one([r.one(words), r.one(numbers), true, false]);
  const out = { type: r.chance(0.03) ? 'unheard' : 'custom_attribute', name: match?.startsWith('semver') ? 'version' : r.one(['country', 'age', 'premium', 'email', 'score', 'missing']), value };
  if (match) out.match = match;
  return out;
}

function tree(r, leaves, deep = 0) {
  if (deep > 2 || r.chance(0.4)) return leaves(r);
  const n = r.chance(0.05) ? 0 : 1 + r.below(3);
  const rest = Array.from({ length: n }, () => tree(r, leaves, deep + 1));
  return r.chance(0.05) ? rest : [r.one(['and', 'or', 'not']), ...rest];
}

function allocation(r, ids) {
  let end = 0;
  const out = [];
  for (const id of ids) {
    end = Math.min(10000, end + r.below(9000));
    out.push({ entityId: r.chance(0.1) ? '' : r.chance(0.03) ? 'gone' : id, endOfRange: end });
  }
  if (r.chance(0.3)) out.push({ entityId: ids[0], endOfRange: 10000 });
  return out;
}

function optimizelyRule(r, flag, audiences, users, more = {}) {
  const variations = Array.from({ length: 1 + r.below(3) }, (_, i) => ({
    id: fresh(), key: `v${i}`, featureEnabled: r.chance(0.8),
    ...(r.chance(0.9) ? { variables: flag.variables.filter(() => r.chance(0.7)).map((v) => ({ id: v.id, value: variable(r, v) })) } : {}),
  }));
  const out = { id: fresh(), key: `rule-${nextId}`, status: r.chance(0.9) ? 'Running' : 'Paused', layerId: fresh(), variations,
    trafficAllocation: allocation(r, variations.map((v) => v.id)), audienceIds: [], forcedVariations: {}, ...more };
  if (r.chance(0.3)) out.audienceIds = r.some(audiences, 2);
  if (r.chance(0.4)) out.audienceConditions = tree(r, () => r.one([...audiences, 'gone']));
  if (Array.isArray(out.audienceConditions) === false && out.audienceConditions) out.audienceConditions = [out.audienceConditions];
  if (r.chance(0.2)) out.forcedVariations[r.one(users)] = r.one(['v0', 'v1', 'gone']);
  return out;
}

function variable(r, v) {
  if (v.type === 'boolean') return r.one(['true', 'false', 'yes']);
  if (v.type === 'integer') return r.one(['1', '-7', '12abc', 'x', '3.9']);
  if (v.type === 'double') return r.one(['1.5', '-0.25', '1e3', 'x', '.5']);
  if (v.subType === 'json') return r.one(['{"a": [1, 2]}', '[]', 'broken', '"text"', 'null']);
  return r.one(words);
}

export function optimizely(r, users) {
  nextId = 100000000000000;
  const typedAudiences = [], audiences = [];
  for (let i = 0; i < 4; i++) typedAudiences.push({ id: fresh(), name: `a${i}`, conditions: tree(r, leaf) });
  for (let i = 0; i < 2; i++) audiences.push({ id: fresh(), name: `b${i}`, conditions: JSON.stringify(tree(r, leaf)) });
  audiences.push({ id: typedAudiences[0].id, name: 'twice', conditions: '["or", {"type": "custom_attribute", "match": "exists", "name": "country"}]' });
  const ids = [...typedAudiences, ...audiences].map((a) => a.id);
  const file = { version: '4', revision: '7', projectId: '1', accountId: '2', events: [], attributes: [], typedAudiences, audiences, experiments: [], groups: [],
    featureFlags: [], rollouts: [], holdouts: [], localHoldouts: [] };
  const types = [{ type: 'boolean' }, { type: 'integer' }, { type: 'double' }, { type: 'string' }, { type: 'string', subType: 'json' }, { type: 'json' }];
  const rules = [];
  for (let i = 0; i < 4 + r.below(4); i++) {
    const flag = { id: fresh(), key: `flag-${i}`, experimentIds: [], rolloutId: '', variables: [] };
    for (const t of types) if (r.chance(0.5)) flag.variables.push({ id: fresh(), key: `${t.type}${t.subType ?? ''}`, ...t, defaultValue: variable(r, t) });
    for (let k = r.below(3); k > 0; k--) {
      const rule = optimizelyRule(r, flag, ids, users, r.chance(0.1) ? { type: 'fr' } : r.chance(0.05) ? { cmab: { attributeIds: [], trafficAllocation: 5000 } } : { type: 'ab' });
      flag.experimentIds.push(rule.id);
      rules.push(rule.id);
      if (r.chance(0.25)) {
        if (file.groups.length === 0 || r.chance(0.3)) file.groups.push({ id: fresh(), policy: r.chance(0.8) ? 'random' : 'overlapping', trafficAllocation: [], experiments: [] });
        const group = r.one(file.groups);
        group.experiments.push(rule);
        group.trafficAllocation.push({ entityId: rule.id, endOfRange: Math.min(10000, (group.trafficAllocation.at(-1)?.endOfRange ?? 0) + r.below(6000)) });
      } else file.experiments.push(rule);
    }
    if (r.chance(0.8)) {
      const rollout = { id: fresh(), experiments: Array.from({ length: r.below(4) }, () => optimizelyRule(r, flag, ids, users)) };
      rules.push(...rollout.experiments.map((x) => x.id));
      file.rollouts.push(rollout);
      flag.rolloutId = r.chance(0.95) ? rollout.id : 'gone';
    }
    file.featureFlags.push(flag);
  }
  if (r.chance(0.3)) file.experiments.at(0) && file.featureFlags.at(-1).experimentIds.push(file.experiments[0].id);
  const holdout = (more) => {
    const variation = { id: fresh(), key: 'off', featureEnabled: false, variables: [] };
    return { id: fresh(), key: `holdout-${nextId}`, status: r.chance(0.8) ? 'Running' : 'Draft', variations: [variation], audienceIds: r.chance(0.3) ? r.some(ids, 1) : [],
      trafficAllocation: [{ entityId: variation.id, endOfRange: r.below(3000) }], ...more };
  };
  if (r.chance(0.4)) file.holdouts.push(holdout({ excludeTargetedDeliveries: r.chance(0.3) }));
  if (r.chance(0.4) && rules.length) file.localHoldouts.push(holdout({ includedRules: r.some(rules, 3) }));
  return file;
}
