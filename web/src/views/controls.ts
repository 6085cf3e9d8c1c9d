/** The kernel and the seed instead of those of the scenario. */

import { h } from '../dom';
import type { About } from '../protocol';
import type { Store } from '../store';

export function controls(store: Store, about: About): HTMLElement {
    const names = about.kernels.map((kernel) => kernel.name);
    const output = h('output', { for: 'kernel' });
    const slider = h('input', {
        type: 'range',
        id: 'kernel',
        min: 0,
        max: names.length,
        input: () => store.set({ kernel: names[Number(slider.value) - 1] ?? null }),
    });
    const seed = h('input', {
        type: 'number',
        id: 'seed',
        min: 0,
        max: Number.MAX_SAFE_INTEGER,
        placeholder: 'its own',
        input: () => {
            const value = seed.valueAsNumber;
            store.set({ seed: Number.isSafeInteger(value) && value >= 0 ? value : null });
        },
    });
    const roll = () => {
        const [value] = crypto.getRandomValues(new Uint16Array(1));
        store.set({ seed: value ?? null });
    };
    function show(): void {
        const { kernel, seed: value } = store.state;
        const text = kernel ?? 'the scenario’s own';
        slider.value = String(kernel === null ? 0 : names.indexOf(kernel) + 1);
        slider.setAttribute('aria-valuetext', text);
        output.textContent = text;
        output.title = about.kernels.find((one) => one.name === kernel)?.about ?? '';
        if (document.activeElement !== seed) {
            seed.value = value === null ? '' : String(value);
        }
    }
    store.subscribe(show);
    show();
    return h(
        'div',
        { class: 'controls' },
        h('div', { class: 'control kernel' }, h('label', { for: 'kernel' }, 'Kernel'), slider, output),
        h(
            'div',
            { class: 'control' },
            h('label', { for: 'seed' }, 'Seed'),
            seed,
            h('button', { type: 'button', 'aria-label': 'Roll a seed', click: roll }, '⚄'),
        ),
    );
}
