// Holds more connections than the range has ports.
const net = require('net');
const [host, port] = process.argv.slice(2);
let refused = 0;
for (let n = 0; n < 18; n++) {
  net.connect({ host, port: Number(port) }).on('error', () => refused++);
}
setTimeout(() => { console.log(refused, 'refused'); process.exit(0); }, 1000);
