/** Connections that fit, and the work of a connect() as the range fills. */

import { h, s, scrolled, table } from '../dom';
import type { Capacities, MaxConnections } from '../protocol';

type Program = Capacities['cases'][number]['programs'][number];

const LEFT = 56;
const TOP = 14;
const WIDTH = 380;
const HEIGHT = 150;
/** Ports from which on a curve says more than the numbers. */
const CURVE = 64;

export function capacityView(capacities: Capacities): Node[] {
    return capacities.cases.flatMap((one) => {
        const title = [one.kernel, ...one.point].join(', ');
        return [
            table(
                `Each program alone on ${title}, counted on the model`,
                ['program', 'ports', 'to one destination', 'to all', 'per second'],
                one.programs.map((program) => [
                    [program.program, h('div', { class: 'quiet' }, program.how)],
                    `${program.ports} (${program.range})`,
                    most(program.to_one),
                    [`${program.destinations}: `, ...most(program.to_all)],
                    rate(program),
                ]),
            ),
            ...one.programs
                .filter((program) => program.ports >= CURVE && program.cost.length > 0)
                .map((program) => curve(program, title)),
        ];
    });
}

function most(one: MaxConnections): (string | HTMLElement)[] {
    if (one.formula === null) {
        return ['no limit by ports', h('div', { class: 'quiet' }, one.by)];
    }
    const then = one.then === null ? '' : `, then ${one.then}`;
    return [
        `${one.counted.toLocaleString('en')}${then}`,
        h('div', { class: 'quiet' }, `${one.by} = ${one.formula.toLocaleString('en')}`),
    ];
}

function rate(program: Program): (string | HTMLElement)[] {
    const { per_second, by } = program.rate;
    const text = per_second === null ? 'no limit by ports' : per_second.toFixed(1);
    return [text, h('div', { class: 'quiet' }, by)];
}

function curve(program: Program, title: string): HTMLElement {
    const top = Math.max(1, ...program.cost.map((one) => one.expected));
    const x = (fill: number) => LEFT + (WIDTH * fill) / 100;
    const y = (expected: number) => TOP + HEIGHT - (HEIGHT * expected) / top;
    const floor = TOP + HEIGHT;
    const points = program.cost.map((one) => `${x(one.fill)},${y(one.expected)}`).join(' ');
    const words = program.cost
        .map((one) => `${one.expected.toFixed(0)} with ${one.fill} % in use`)
        .join(', ');
    const name = `Ports that connect() of ${program.program} examines, on ${title}`;
    return h(
        'figure',
        {},
        h('figcaption', {}, name),
        scrolled(
            name,
            s(
                'svg',
                { class: 'curve', role: 'img', 'aria-label': `${name}: ${words}.`, width: LEFT + WIDTH + 60, height: floor + 30, viewBox: `0 0 ${LEFT + WIDTH + 60} ${floor + 30}` },
                s('line', { class: 'axis', x1: LEFT, x2: LEFT + WIDTH, y1: floor, y2: floor }),
                s('line', { class: 'axis', x1: LEFT, x2: LEFT, y1: TOP, y2: floor }),
                s('text', { x: LEFT - 8, y: floor, 'text-anchor': 'end' }, 0),
                s('text', { x: LEFT - 8, y: TOP + 8, 'text-anchor': 'end' }, top.toFixed(0)),
                s('text', { x: LEFT, y: floor + 20 }, '0 %'),
                s('text', { x: LEFT + WIDTH, y: floor + 20, 'text-anchor': 'end' }, '100 % of the ports in use'),
                s('polyline', { points }),
                ...program.cost.map((one) => s('circle', { cx: x(one.fill), cy: y(one.expected), r: 4 })),
            ),
        ),
    );
}
