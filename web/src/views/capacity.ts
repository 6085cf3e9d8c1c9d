/** Connections that fit, and the work of a connect() as the range fills. */

import { h, table } from '../dom';
import type { Capacities, MaxConnections } from '../protocol';
import { chart } from './chart';
import { lossView } from './loss';

type Program = Capacities['cases'][number]['programs'][number];

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
            ...throughNat(one.programs).flatMap(lossView),
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

/** The NAT hosts on the ways of programs, each once. */
function throughNat(programs: readonly Program[]): NonNullable<Program['through']>[] {
    const found = new Map(programs.flatMap(({ through }) => (through ? [[through.host, through]] : [])));
    return [...found.values()];
}

function curve(program: Program, title: string): HTMLElement {
    const top = Math.max(1, ...program.cost.map((one) => one.expected));
    const words = program.cost
        .map((one) => `${one.expected.toFixed(0)} with ${one.fill} % in use`)
        .join(', ');
    const points = program.cost.map((one) => ({ fill: one.fill, value: one.expected }));
    const name = `Ports that connect() of ${program.program} examines, on ${title}`;
    return chart({ title: name, words, top, label: top.toFixed(0), lines: [{ name, points }] });
}
