/** The model in a worker: requests come as messages, replies and progress go back. */

import address from '../generated/fourtuple.wasm?url';

interface Model extends WebAssembly.Exports {
    memory: WebAssembly.Memory;
    fourtuple_alloc(length: number): number;
    fourtuple_free(at: number, length: number): void;
    fourtuple_answer(at: number, length: number): bigint;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

async function load(): Promise<Model> {
    // Not as a stream, which some servers' content types do not allow.
    const bytes = await (await fetch(address)).arrayBuffer();
    const { instance } = await WebAssembly.instantiate(bytes, {
        page: { progress: (done: number, of: number) => postMessage({ done, of }) },
    });
    return instance.exports as Model;
}

const model = load();

/** Passes UTF-8 text to the model and takes its answer. */
function answer(model: Model, request: string): string {
    const bytes = encoder.encode(request);
    const at = model.fourtuple_alloc(bytes.length);
    // The memory may have moved with the allocation, so that views are made afterwards.
    new Uint8Array(model.memory.buffer, at, bytes.length).set(bytes);
    const place = BigInt.asUintN(64, model.fourtuple_answer(at, bytes.length));
    const start = Number(place >> 32n);
    const length = Number(place & 0xffff_ffffn);
    const text = decoder.decode(new Uint8Array(model.memory.buffer, start, length));
    model.fourtuple_free(start, length);
    return text;
}

addEventListener('message', async ({ data }: MessageEvent<string>) => {
    try {
        const loaded = await model;
        const reply = answer(loaded, data);
        postMessage({ reply, bytes: loaded.memory.buffer.byteLength });
    } catch (error) {
        // A trap leaves the memory in an unknown state; the page starts another worker.
        postMessage({ failed: String(error) });
    }
});
