(() => {
'use strict';
const data = JSON.parse(document.getElementById('data').textContent);
const SVG = 'http://www.w3.org/2000/svg';
// Colours that the colour-blind tell apart; when they are used up lines are dashed, areas hatched.
const COLOURS = data.colours;
const DASHES = ['solid', 'dash', 'dot', 'dashdot'];
const MARKS = ['circle', 'square', 'diamond', 'cross', 'triangle-up', 'triangle-down', 'star', 'x'];
const HATCHES = ['', '/', '.', 'x'];
const STUDENT = '#111111';
const TRUTH = '#ffffff';
const BATCH = 24;
const SCALE = [[0, [0, 34, 78]], [0.25, [53, 69, 108]], [0.5, [124, 123, 120]], [0.75, [188, 175, 111]], [1, [254, 232, 56]]];
const CIVIDIS = SCALE.map(([at, rgb]) => [at, `rgb(${rgb.join(',')})`]);

const $ = (id) => document.getElementById(id);
const taughtGroups = data.groups.filter((group) => group.taught);
let group = taughtGroups[0];
let shownCards = BATCH;
const hiddenMembers = new Set();

// --- small helpers; text is always set as text, never as markup ---
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === 'style') made.style.cssText = value; else made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}
function shape(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}
const known = (value) => value !== null && value !== undefined;
const percent = (value, digits = 0) => (known(value) ? `${(100 * value).toFixed(value > 0 && value < 0.01 ? 1 : digits)} %` : '–');
const number = (value, digits = 2) => (known(value) ? value.toFixed(digits) : '–');
const colour = (place) => COLOURS[place % COLOURS.length];
const turn = (place) => Math.floor(place / COLOURS.length);
const rgba = (hex, alpha) => `rgba(${[1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16)).join(',')},${alpha})`;
const short = (name, size = 28) => (name.length > size ? `${name.slice(0, size - 1)}…` : name);
// Plotly reads a little markup in names: what a name has of it is shown as it is.
const plain = (name) => short(name).replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
const mentorColour = (name) => colour(group.mentors.indexOf(name));
function swatch(background, again = 0) {
  return element('span', { class: again ? 'swatch hatched' : 'swatch', style: `background-color:${background}`, 'aria-hidden': 'true' });
}
const mentorSwatch = (name) => swatch(mentorColour(name), turn(group.mentors.indexOf(name)));
function scaleColour(share) {
  if (!known(share)) return '#ffffff';
  const next = Math.max(1, SCALE.findIndex(([at]) => at >= share));
  const [[from, a], [to, b]] = [SCALE[next - 1], SCALE[next]];
  return `rgb(${a.map((value, i) => Math.round(value + ((share - from) / (to - from)) * (b[i] - value))).join(',')})`;
}
function fill(table, head, rows) {
  const cells = (row, tag) => row.map((cell) => {
    const content = cell && cell.content !== undefined ? cell : { content: cell };
    const made = element(tag, content.class ? { class: content.class } : {});
    made.append(content.content);
    if (tag === 'th') made.setAttribute('scope', 'col');
    return made;
  });
  table.tHead.replaceChildren(element('tr', {}, ...cells(head, 'th')));
  table.tBodies[0].replaceChildren(...rows.map((row) => element('tr', {}, ...cells(row, 'td'))));
}
function options(select, pairs) {
  select.replaceChildren(...pairs.map(([value, text]) => element('option', { value }, text)));
}

// --- plots: drawn when they come near the window, all of them before printing ---
const makers = new Map();
const waiting = new Set();
const observer = new IntersectionObserver((entries) => {
  for (const entry of entries) if (entry.isIntersecting && waiting.has(entry.target.id)) draw(entry.target.id);
}, { rootMargin: '300px' });
const titled = (axis, standoff) => (axis && axis.title ? { ...axis, title: { ...axis.title, standoff } } : axis);
function draw(id) {
  waiting.delete(id);
  const box = $(id);
  const { traces, layout = {}, words } = makers.get(id)();
  box.setAttribute('aria-label', words);
  box.hidden = traces.length === 0;
  if (!traces.length) return;
  // A legend of many names takes lines of its own, not the figure's.
  const names = layout.showlegend ? traces.filter((each) => each.showlegend !== false).length : 0;
  const rows = Math.max(1, Math.ceil((names * 150) / Math.max(box.clientWidth - 80, 150)));
  const height = (layout.height || (window.innerWidth > 640 ? 380 : 330)) + 21 * (rows - 1);
  box.style.height = `${height}px`;
  const axis = { gridcolor: '#e6eaef', zerolinecolor: '#c5ccd5', automargin: true };
  const whole = {
    margin: { l: 56, r: 16, t: layout.title ? 40 : 14, b: 46 }, paper_bgcolor: '#fff', plot_bgcolor: '#fff',
    font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: '#1b2430' },
    legend: { orientation: 'h', x: 0, y: 1.01, yanchor: 'bottom' }, hoverlabel: { namelength: 40 }, ...layout, height,
    xaxis: { ...axis, ...titled(layout.xaxis, 6) }, yaxis: { ...axis, ...titled(layout.yaxis, 10) },
  };
  Plotly.react(box, traces, whole, { responsive: true, displayModeBar: false })
    .then(() => { box.dataset.drawn = String(Number(box.dataset.drawn || 0) + 1); });
}
function plot(id, maker) { makers.set(id, maker); waiting.add(id); observer.observe($(id)); }
function redraw(...ids) {
  for (const id of ids) {
    if (!makers.has(id)) continue;
    waiting.add(id);
    observer.unobserve($(id));
    $(id).hidden = false;
    observer.observe($(id)); // tells at once where it is
  }
}
function drawAll() { for (const id of [...waiting]) draw(id); }
window.addEventListener('beforeprint', drawAll);

function curve(points, name, place, more = {}) {
  const line = { color: more.colour || colour(place), width: 2, dash: DASHES[turn(place) % DASHES.length] };
  const many = points.x.length > 40;
  const traces = [];
  if (points.low) {
    traces.push({
      x: [...points.x, ...[...points.x].reverse()], y: [...points.high, ...[...points.low].reverse()],
      fill: 'toself', fillcolor: rgba(line.color, 0.15), line: { width: 0 }, mode: 'lines', hoverinfo: 'skip', showlegend: false, legendgroup: name,
    });
  }
  traces.push({
    x: points.x, y: points.mean, name: plain(name), legendgroup: name, line, mode: many ? 'lines' : 'lines+markers',
    marker: { symbol: MARKS[place % MARKS.length], size: 7 }, ...more.trace,
  });
  return traces;
}
// Epochs are whole: where there are few, each has its tick.
function steps(title, lines) {
  const all = lines.flatMap((points) => points.x);
  const few = all.length && Math.max(...all) - Math.min(...all) <= 12;
  return { title: { text: title }, ...(few ? { dtick: 1 } : {}) };
}
const stepName = () => (group.lessons.step === 'epoch' ? 'epoch' : 'iteration');
const last = (values) => [...values].reverse().find(known);

const plots = {
  'plot-student': () => {
    const metric = $('metric').value;
    const found = data.groups.map((each, place) => [each, place, each.metrics[metric]]).filter(([, , points]) => points);
    return {
      traces: found.flatMap(([each, place, points]) => curve(points, each.name + (each.runs.length > 1 ? ` (${each.runs.length} seeds)` : ''), place, { trace: { hovertemplate: '%{y:.4g}' } })),
      layout: { xaxis: steps(group.lessons.step === 'epoch' ? 'epoch' : 'step', found.map(([, , points]) => points)), yaxis: { title: { text: plain(metric) } }, hovermode: 'x unified', showlegend: true },
      words: `${metric}: ${found.map(([each, , points]) => `${each.name} ends at ${number(last(points.mean), 3)}`).join(', ')}`,
    };
  },
  'plot-taught': () => {
    const stacked = document.querySelector('input[name=stack]:checked').value === 'stacked';
    const traces = group.mentors.flatMap((name, place) => {
      const points = group.lessons.mentors[name].active;
      if (!stacked) return curve(points, name, place, { trace: { hovertemplate: '%{y:.1%}' } });
      const pattern = { shape: HATCHES[turn(place) % HATCHES.length], fgcolor: colour(place), bgcolor: rgba(colour(place), 0.45), size: 6 };
      return [{
        x: points.x, y: points.mean, name: plain(name), stackgroup: 'all', mode: 'lines', line: { color: colour(place), width: 1 },
        fillcolor: rgba(colour(place), 0.65), ...(pattern.shape ? { fillpattern: pattern } : {}), hovertemplate: '%{y:.1%}',
      }];
    });
    return {
      traces,
      layout: {
        xaxis: steps(stepName(), [group.lessons.student_score]), hovermode: 'x unified', showlegend: true,
        yaxis: stacked ? { title: { text: `mentors that taught a ${group.what.slice(0, -1)}` }, rangemode: 'tozero' } : { title: { text: `share of the ${group.what} taught` }, tickformat: '.0%', range: [0, 1.02] },
      },
      words: `Share taught at the end: ${group.mentors.map((name) => `${name} ${percent(last(group.lessons.mentors[name].active.mean))}`).join(', ')}`,
    };
  },
  'plot-scores': () => ({
    traces: [
      ...curve(group.lessons.student_score, 'student', 0, { colour: STUDENT, trace: { hovertemplate: '%{y:.3f}', line: { color: STUDENT, width: 3.5 } } }),
      ...group.mentors.flatMap((name, place) => curve(group.lessons.mentors[name].score, name, place, { trace: { hovertemplate: '%{y:.3f}' } })),
    ],
    layout: { xaxis: steps(stepName(), [group.lessons.student_score]), yaxis: { title: { text: 'mean score' } }, hovermode: 'x unified', showlegend: true },
    words: `Scores at the end: student ${number(last(group.lessons.student_score.mean), 3)}, ${group.mentors.map((name) => `${name} ${number(last(group.lessons.mentors[name].score.mean), 3)}`).join(', ')}`,
  }),
  'plot-ranks': () => spread('rank', 'ranks', 'Ranks'),
  'plot-temperatures': () => spread('temperature', 'temperatures', 'Temperatures of what was taught'),
  'plot-contest': () => {
    const members = ['student', ...group.looked.mentors];
    const z = group.looked.contest.map((row, i) => row.map((value, j) => (i === j ? null : value)));
    const few = members.length <= 9;
    return {
      traces: [{
        type: 'heatmap', x: members.map(plain), y: members.map(plain), z, zmin: 0, colorscale: CIVIDIS, xgap: 2, ygap: 2, colorbar: { tickformat: '.0%', thickness: 12 },
        hovertemplate: '%{y} right, %{x} wrong: %{z:.1%}<extra></extra>', texttemplate: few ? '%{z:.0%}' : '', hoverongaps: false,
      }],
      layout: { title: { text: 'One right, the other wrong', font: { size: 14 } }, xaxis: { title: { text: 'wrong' }, type: 'category' }, yaxis: { title: { text: 'right' }, autorange: 'reversed', type: 'category' } },
      words: members.map((name, i) => `${name} is right where the student is wrong on ${percent(group.looked.contest[i][0])}`).slice(1).join(', '),
    };
  },
  'plot-classes': () => {
    const by = group.looked.by_class;
    if (!by) return { traces: [], words: '' };
    const members = ['student', ...group.looked.mentors];
    return {
      traces: [{
        type: 'heatmap', x: by.names.map((name, i) => `${plain(name)} (${by.counts[i]})`), y: members.map(plain), z: by.shares, zmin: 0, zmax: 1, colorscale: CIVIDIS, xgap: 1, ygap: 2,
        colorbar: { tickformat: '.0%', thickness: 12 }, hovertemplate: '%{y} on %{x}: %{z:.0%} right<extra></extra>',
      }],
      layout: { title: { text: 'Right, by true class (samples)', font: { size: 14 } }, xaxis: { type: 'category' }, yaxis: { autorange: 'reversed', type: 'category' } },
      words: `Share right by class, for ${by.names.length} classes`,
    };
  },
  'plot-cost': () => {
    const cost = group.cost;
    if (!cost) return { traces: [], words: '' };
    const parts = [['student', cost.student, STUDENT, ''], ...group.looked.mentors.map((name, i) => [name, cost.mentors[i], mentorColour(name), HATCHES[turn(group.mentors.indexOf(name)) % HATCHES.length]]), ['lesson and loss', cost.rest, '#9aa5b1', '']];
    const whole = parts.reduce((sum, [, value]) => sum + value, 0);
    return {
      traces: parts.map(([name, value, fillColour, hatch]) => ({
        type: 'bar', orientation: 'h', x: [1000 * value], y: [''], name: plain(name), marker: { color: fillColour, pattern: { shape: hatch } },
        text: [percent(value / whole)], textposition: 'inside', insidetextanchor: 'middle', textangle: 0, hovertemplate: `${plain(name)}: %{x:.1f} ms<extra></extra>`,
      })),
      layout: { barmode: 'stack', height: 190, xaxis: { title: { text: `milliseconds of a step of ${cost.batch} samples` } }, showlegend: true, legend: { orientation: 'h', x: 0, y: 1.05, yanchor: 'bottom', traceorder: 'normal' }, margin: { l: 20, r: 16, t: 10, b: 46 } },
      words: parts.map(([name, value]) => `${name} ${percent(value / whole)} of a step`).join(', '),
    };
  },
};
function spread(key, field, title) {
  const now = group.looked && $('spread-of').value === 'looked';
  const values = (name, place) => (now ? group.looked[field][group.looked.mentors.indexOf(name)] : group.lessons.mentors[name][key].mean).filter(known);
  const named = group.mentors.map((name, place) => [name, place, values(name, place)]);
  const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];
  return {
    traces: named.map(([name, place, list]) => ({
      type: 'box', y: list, name: plain(name), boxpoints: 'outliers', marker: { color: colour(place), size: 4, symbol: MARKS[place % MARKS.length] }, line: { width: 1.5 }, boxmean: true,
    })),
    layout: { title: { text: title, font: { size: 14 } }, showlegend: false, xaxis: { type: 'category', tickangle: group.mentors.length > 5 ? -35 : 0 } },
    words: `${title}, median: ${named.map(([name, , list]) => `${name} ${number(median(list))}`).join(', ')}`,
  };
}

// --- the first screen ---
function answer() {
  $('words').textContent = group.answer;
  $('remarks').replaceChildren(...group.remarks.map((words) => element('li', {}, words)));
  const looked = Boolean(group.looked);
  const head = ['mentor', 'taught, last epoch', 'taught, whole run', 'mean weight, last epoch', 'mean score, last epoch', ...(looked ? ['alone right', 'of a step'] : []), { content: 'verdict', class: 'verdict' }];
  fill($('standings'), head, group.standings.map((each) => [
    { content: element('span', { title: each.mentor }, mentorSwatch(each.mentor), each.mentor) },
    percent(each.taught_last), percent(each.taught), number(last(group.lessons.mentors[each.mentor].weight.mean)), number(last(group.lessons.mentors[each.mentor].score.mean), 3),
    ...(looked ? [known(each.alone) ? `${each.alone} of ${each.samples} (${percent(each.alone_share)})` : '–', percent(each.cost)] : []),
    { content: element('span', { class: `tag ${each.verdict.split(' ')[0]}` }, each.verdict), class: 'verdict' },
  ]));
  const right = group.looked && group.looked.kind === 'pose' ? `its score is at least ${data.right}` : 'its top class is the label';
  $('standings-note').textContent = (looked
    ? `Asked of ${group.looked.source}, on ${group.looked.labelled} training samples with a label; alone right on none of them leaves room for up to ${percent(Math.min(1, 3 / group.looked.labelled))} of all (--samples asks more). Alone right: a member is right where ${right}; alone, where no other mentor and not the student is. "Drop it": taught less than 10 % of the last epoch and alone right on at most 2 %. "Try without it": alone right on at most 2 %. `
    : '"Drop it": taught less than 10 % of the last epoch; who was alone right is not known here. ')
    + 'A verdict is an indication from training samples: the test is a run without that mentor.';
}

// --- keypoints ---
function skeletons() {
  const looked = group.looked;
  if (!looked || looked.kind !== 'pose') return;
  const kind = document.querySelector('input[name=share]:checked').value;
  const { names, links, places, counts, alike } = looked.skeleton;
  const shares = looked.skeleton[kind];
  const most = Math.max(0.1, Math.ceil(10 * Math.max(0, ...shares.flat().filter(known))) / 10); // the scale's end
  $('scale-end').textContent = percent(most);
  const [w, h] = [0, 1].map((i) => Math.max(...places.filter((p) => known(p[i])).map((p) => p[i])));
  $('skeletons').replaceChildren(...looked.mentors.map((mentor, m) => {
    const svg = shape('svg', { viewBox: `-0.08 -0.08 ${w + 0.16} ${h + 0.16}`, role: 'img' });
    const said = names.map((name, k) => `${name} ${percent(shares[m][k])}`).join(', ');
    svg.setAttribute('aria-label', `${mentor}, ${kind}: ${said}`);
    for (const [a, b] of links) {
      if (![a, b].every((k) => places[k] && known(places[k][0]))) continue;
      svg.append(shape('line', { x1: places[a][0], y1: places[a][1], x2: places[b][0], y2: places[b][1], stroke: '#c2cad3', 'stroke-width': 0.012 }));
    }
    const radius = names.length > 40 ? 0.012 : 0.026;
    names.forEach((name, k) => {
      if (!places[k] || !known(places[k][0])) return;
      const share = shares[m][k];
      const dot = shape('circle', { cx: places[k][0], cy: places[k][1], r: radius, fill: scaleColour(known(share) ? share / most : null), stroke: '#1b2430', 'stroke-width': 0.006, 'data-share': known(share) ? share : '' });
      if (!known(share)) dot.setAttribute('stroke-dasharray', '0.012');
      const title = shape('title', {});
      title.textContent = `${name}: ${percent(share)} of ${counts[k]}`;
      dot.append(title);
      svg.append(dot);
    });
    return element('figure', {}, svg, element('figcaption', {}, mentorSwatch(mentor), mentor));
  }));
  $('keypoints-note').textContent = (kind === 'taught'
    ? `The share of a keypoint's labelled samples in which the mentor taught it.${alike ? ' This run filters whole people: a mentor teaches all keypoints of a person, or none.' : ''}`
    : "The share of a keypoint's labelled samples in which the mentor's score of it is above the student's, taught or not.")
    + ' A dashed ring: the mentor does not have the keypoint, or nobody is labelled.';
  fill($('keypoints-table'), ['keypoint', 'labelled', ...looked.mentors], names.map((name, k) => [name, String(counts[k]), ...looked.mentors.map((_, m) => percent(shares[m][k]))]));
}

// --- gallery ---
const memberColour = (place) => (place === 0 ? STUDENT : mentorColour(group.looked.mentors[place - 1]));
const memberSwatch = (place) => (place === 0 ? swatch(STUDENT) : mentorSwatch(group.looked.mentors[place - 1]));
const memberName = (place) => (place === 0 ? 'student' : group.looked.mentors[place - 1]);
function pathOf(points, links) {
  const at = (p) => `${p[0]} ${p[1]}`;
  const there = (k) => points[k] && known(points[k][0]);
  return {
    limbs: links.filter(([a, b]) => there(a) && there(b)).map(([a, b]) => `M${at(points[a])}L${at(points[b])}`).join(''),
    dots: points.filter((_, k) => there(k)).map((p) => `M${at(p)}h0`).join(''),
  };
}
function overlay(svg, points, place, size) {
  const { limbs, dots } = pathOf(points, group.looked.skeleton.links);
  const unit = Math.max(...size) / 100;
  const truth = place === 'truth';
  const ink = truth ? TRUTH : memberColour(place);
  const drawn = shape('g', { class: 'member', 'data-member': place, fill: 'none', 'stroke-linecap': 'round' });
  if (place === 0 || truth) drawn.append(shape('path', { d: limbs, stroke: truth ? '#000' : '#fff', 'stroke-width': 1.7 * unit, 'stroke-opacity': 0.6 }));
  drawn.append(shape('path', { d: limbs, stroke: ink, 'stroke-width': (truth ? 0.6 : 0.9) * unit, ...(truth ? { 'stroke-dasharray': `${unit} ${unit * 1.2}` } : {}) }));
  drawn.append(shape('path', { d: dots, stroke: place === 0 ? '#fff' : '#000', 'stroke-width': 2.9 * unit }));
  drawn.append(shape('path', { d: dots, stroke: ink, 'stroke-width': 2 * unit }));
  svg.append(drawn);
}
function className(place) {
  if (place < 0) return 'no label';
  const name = group.looked.classes[place];
  return name === undefined ? `class ${place}` : name;
}
function lesson(member) {
  const many = member.of > 1 ? ` ${member.taught} of ${member.of}` : '';
  if (!member.taught) return element('span', { class: 'lesson' }, 'silent');
  return element('span', { class: 'lesson taught' }, `taught${many} τ ${number(member.tau, 1)}`);
}
function card(sample) {
  const [w, h] = sample.size;
  const pose = group.looked.kind === 'pose';
  const svg = shape('svg', { class: 'shot', viewBox: `0 0 ${w} ${h}`, role: 'img', 'aria-label': `training sample ${sample.number}` });
  svg.append(shape('image', { href: `data:image/jpeg;base64,${sample.picture}`, width: w, height: h, style: Math.max(w, h) < 100 ? 'image-rendering:pixelated' : '' }));
  if (pose) {
    overlay(svg, sample.truth, 'truth', sample.size);
    sample.members.forEach((_, i) => overlay(svg, sample.members[sample.members.length - 1 - i].points, sample.members.length - 1 - i, sample.size));
  }
  const rows = sample.members.map((member, place) => {
    const mark = member.right === null ? '' : member.right ? '✓' : '✗';
    const row = element('li', { class: `member${place && !member.taught ? ' silent' : ''}`, 'data-member': place },
      memberSwatch(place), element('span', { class: 'who', title: memberName(place) }, memberName(place)),
      element('span', { title: mark === '✓' ? 'right' : mark ? 'wrong' : 'no label' }, `${number(member.score)} ${mark}`), place ? lesson(member) : element('span', { class: 'lesson' }));
    if (member.top) row.append(element('span', { class: 'what' }, member.top.map(([each, share]) => `${className(each)} ${percent(share)}`).join(', ')));
    return row;
  });
  return element('article', { class: 'card', tabindex: '0', 'data-number': sample.number, 'data-apart': sample.apart, 'aria-label': `sample ${sample.number}` }, svg,
    element('div', { class: 'facts' }, element('span', {}, pose ? `sample ${sample.number}` : `sample ${sample.number}: ${className(sample.truth)}`), element('span', { title: 'how far apart the members are' }, `apart ${percent(sample.apart, 1)}`)),
    element('ul', {}, ...rows));
}
const best = (sample) => Math.max(...sample.members.slice(1).map((member) => (known(member.score) ? member.score : -1)));
const sorts = {
  apart: (a, b) => b.apart - a.apart, agreed: (a, b) => a.apart - b.apart, number: (a, b) => a.number - b.number,
  student: (a, b) => (a.members[0].score ?? 2) - (b.members[0].score ?? 2),
  gap: (a, b) => best(b) - (b.members[0].score ?? 0) - (best(a) - (a.members[0].score ?? 0)),
};
function isAlone(sample, place) { return sample.members.every((member, i) => Boolean(member.right) === (i === place)); }
function chosen() {
  const [kind, place] = $('filter').value.split(':');
  const member = (sample) => sample.members[Number(place)];
  const tests = {
    all: () => true, taught: (s) => member(s).taught > 0, silent: (s) => !member(s).taught, right: (s) => isAlone(s, Number(place)),
    nobody: (s) => s.members.slice(1).every((each) => !each.taught), wrong: (s) => s.members.every((each) => each.right === false),
  };
  return group.looked.samples.filter(tests[kind]).sort(sorts[$('sort').value]);
}
function cards() {
  if (!group.looked) return;
  const found = chosen();
  $('cards').replaceChildren(...found.slice(0, shownCards).map(card));
  $('shown').textContent = `${Math.min(found.length, shownCards)} of ${found.length} (${group.looked.samples.length} looked at)`;
  $('more').hidden = found.length <= shownCards;
  for (const place of hiddenMembers) toggle(place, false);
}
function toggle(place, on) {
  for (const each of document.querySelectorAll(`#cards g[data-member="${place}"], #cards li[data-member="${place}"]`)) {
    if (on) each.removeAttribute('hidden'); else each.setAttribute('hidden', '');
  }
}
function galleryTools() {
  if (!group.looked) return;
  const { mentors, kind } = group.looked;
  const of = (value, words) => mentors.map((name, i) => [`${value}:${i + 1}`, `${words[0]}${short(name)}${words[1]}`]);
  options($('filter'), [['all:', 'all samples'], ...of('taught', ['taught by ', '']), ...of('silent', ['', ' silent']), ...of('right', ['', ' alone right']), ['right:0', 'student alone right'], ['nobody:', 'nobody taught'], ['wrong:', 'everybody wrong']]);
  const members = [...(kind === 'pose' ? [['truth', 'truth', swatch('#8b95a1')]] : []), ...['student', ...mentors].map((name, i) => [String(i), name, memberSwatch(i)])];
  hiddenMembers.clear();
  $('members').replaceChildren(element('legend', {}, 'Members'), ...members.map(([place, name, mark]) => {
    const box = element('input', { type: 'checkbox', value: place, checked: '' });
    box.addEventListener('change', () => { if (box.checked) hiddenMembers.delete(place); else hiddenMembers.add(place); toggle(place, box.checked); });
    return element('label', {}, box, mark, name);
  }));
}

// --- cost ---
function costs() {
  const cost = group.cost;
  const seconds = group.steps.map((each) => each.seconds);
  const words = [];
  if (cost) words.push(`Measured on ${cost.device} when this page was made: the median of some steps of ${cost.batch} samples. The whole step takes ${(cost.step / cost.student).toFixed(1)} times the student's own.`);
  if (seconds.length) {
    const waiting = Math.max(...group.steps.map((each) => each.waiting));
    words.push(`The run's own log: ${(1000 * seconds.reduce((a, b) => a + b) / seconds.length).toFixed(0)} ms a step, of which it waited ${percent(waiting)} for data.`);
    const memory = group.steps.map((each) => each.memory).filter(known);
    words.push(memory.length ? `At most ${Math.max(...memory).toFixed(0)} MB of GPU memory.` : 'It used no GPU, whose memory would be logged.');
  }
  $('cost-note').textContent = words.join(' ');
  $('cost-table').hidden = !cost;
  if (!cost) return;
  const ms = (value) => `${(1000 * value).toFixed(1)} ms`;
  const megabytes = (value) => (known(value) ? `${(value / 1e6).toFixed(1)} MB` : 'not built');
  const kept = (value) => (known(value) ? `${value} of ${cost.samples}` : 'no memory');
  const whole = Math.max(cost.step, cost.student + cost.mentors.reduce((a, b) => a + b, 0));
  fill($('cost-table'), ['part', 'time', 'of a step', 'weights', 'answers remembered'], [
    ['student, forward and backward', ms(cost.student), percent(cost.student / whole), megabytes(cost.weights[0]), ''],
    ...group.looked.mentors.map((name, i) => [{ content: element('span', { title: name }, mentorSwatch(name), name) }, ms(cost.mentors[i]), percent(cost.shares[i]), megabytes(cost.weights[i + 1]), kept(cost.remembered[i])]),
    ['lesson and loss', ms(cost.rest), percent(cost.rest / whole), '', ''],
    ['the whole step', ms(cost.step), '100 %', '', ''],
  ]);
}

// --- all together ---
function needs() {
  const has = { looked: Boolean(group.looked), pose: Boolean(group.looked && group.looked.kind === 'pose') };
  for (const each of document.querySelectorAll('[data-needs]')) each.hidden = !has[each.dataset.needs];
}
function show() {
  needs();
  answer();
  skeletons();
  galleryTools();
  shownCards = BATCH;
  cards();
  costs();
  if (group.looked) $('right-note').textContent = `Of the ${group.looked.labelled} samples looked at that have a label. ${group.looked.kind === 'pose' ? `Right: a score of at least ${data.right}.` : 'Right: the top class is the label.'}`;
  redraw(...Object.keys(plots));
}
options($('group'), taughtGroups.map((each, i) => [String(i), each.name]));
$('pick-group').hidden = taughtGroups.length < 2;
options($('metric'), data.metrics.map((name) => [name, name]));
if (data.metric) $('metric').value = data.metric;
$('student').hidden = !data.metrics.length;
$('group').addEventListener('change', () => { group = taughtGroups[Number($('group').value)]; show(); });
$('metric').addEventListener('change', () => redraw('plot-student'));
$('spread-of').addEventListener('change', () => redraw('plot-ranks', 'plot-temperatures'));
for (const each of document.querySelectorAll('input[name=stack]')) each.addEventListener('change', () => redraw('plot-taught'));
for (const each of document.querySelectorAll('input[name=share]')) each.addEventListener('change', skeletons);
for (const id of ['sort', 'filter']) $(id).addEventListener('change', () => { shownCards = BATCH; cards(); });
$('zoom').addEventListener('change', () => $('cards').style.setProperty('--zoom', $('zoom').value));
$('more').addEventListener('click', () => { const before = $('cards').children.length; shownCards += BATCH; cards(); $('cards').children[before].focus(); });
for (const [id, maker] of Object.entries(plots)) plot(id, maker);
show();
document.body.dataset.ready = 'true';
})();
