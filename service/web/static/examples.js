// What there is to begin with.

const NEURON = `# The lecture's neuron
x1 = 2.0
x2 = 0.0
w1 = -3.0
w2 = 1.0
b = 6.8813735870195432

x1w1 = x1*w1
x2w2 = x2*w2
x1w1x2w2 = x1w1 + x2w2
n = x1w1x2w2 + b
o = tanh(n)
`;

const EXPRESSION = `a = 2.0
b = -3.0
c = 10.0
f = -2.0

e = a*b
d = e + c
L = d*f
`;

const SHARED = `# b is used twice: its gradient is the sum of what comes back
a = -2.0
b = 3.0

d = a*b
e = a + b
f = d*e
`;

const BLACK_SCHOLES = `# A call option: every gradient is one of its Greeks
S = 100.0
K = 105.0
r = 0.03
sigma = 0.2
T = 0.5

spread = sigma*sqrt(T)
d1 = (log(S/K) + (r + sigma**2/2)*T) / spread
d2 = d1 - spread
N1 = erfc(-0.7071067811865476*d1)/2
N2 = erfc(-0.7071067811865476*d2)/2
call = S*N1 - K*exp(-r*T)*N2
`;

/** Numbers that look random and are the same for everyone. */
function generator(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

function gaussian(random) {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

function moons(rows) {
  const random = generator(7);
  const data = { x: [], y: [], t: [] };
  for (let k = 0; k < rows; k += 1) {
    const upper = k % 2 === 0;
    const angle = Math.PI * random();
    const [x, y] = upper ? [Math.cos(angle), Math.sin(angle)] : [1 - Math.cos(angle), 0.5 - Math.sin(angle)];
    const round = (value) => Math.round(value * 1000) / 1000;
    data.x.push(round(x + 0.12 * gaussian(random)));
    data.y.push(round(y + 0.12 * gaussian(random)));
    data.t.push(upper ? 1 : -1);
  }
  return data;
}

const HIDDEN = 6;

function network(data) {
  const random = generator(3);
  const weight = () => (2 * (random() - 0.5) * 1.2).toFixed(2);
  const units = [...Array(HIDDEN).keys()].map((k) => k + 1);
  return [
    "# A small network on two moons: see Descent below",
    `x = ${data.x[0]}`,
    `y = ${data.y[0]}`,
    "t = 1.0",
    "",
    ...units.map((k) => `u${k} = ${weight()}\nv${k} = ${weight()}\nb${k} = ${weight()}\nw${k} = ${weight()}`),
    "c = 0.0",
    "",
    ...units.map((k) => `h${k} = tanh(u${k}*x + v${k}*y + b${k})`),
    `score = sum(${units.map((k) => `w${k}*h${k}`).join(", ")}, c)`,
    "loss = softplus(-t*score)",
    "",
  ].join("\n");
}

const MOONS = moons(80);

/** Examples by name: the text, and for a model what its descent begins with. */
export const EXAMPLES = [
  { name: "The neuron", text: NEURON },
  { name: "L = (a*b + c)*f", text: EXPRESSION, descent: { direction: "maximize", steps: 1 } },
  { name: "A shared node", text: SHARED },
  {
    name: "A network on two moons",
    text: network(MOONS),
    data: MOONS,
    descent: { objective: "loss", learningRate: 0.8, steps: 400, score: "score", plane: ["x", "y"], target: "t" },
  },
  { name: "Black–Scholes", text: BLACK_SCHOLES },
];
