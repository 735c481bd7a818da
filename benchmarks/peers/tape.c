/* The floor: one forward loop that keeps local derivatives, one backward loop that knows no operation. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>

enum { ADD, SUB, MUL, NEG, TANH, SIGMOID, SIN, RELU, LEAF };

void forward(size_t n, const uint8_t *op, const uint32_t *a, const uint32_t *b, double *v, double *local)
{
    for (size_t i = 0; i < n; i++) {
        double x = v[a[i]], y = v[b[i]], z, dx, dy = 0.0;
        switch (op[i]) {
        case ADD: z = x + y; dx = 1.0; dy = 1.0; break;
        case SUB: z = x - y; dx = 1.0; dy = -1.0; break;
        case MUL: z = x * y; dx = y; dy = x; break;
        case NEG: z = -x; dx = -1.0; break;
        case TANH: { double s; z = tanh(x); s = 1.0 / cosh(x); dx = s * s; break; }
        case SIGMOID: z = 1.0 / (1.0 + exp(-x)); dx = z / (1.0 + exp(x)); break;
        case SIN: z = sin(x); dx = cos(x); break;
        case RELU: z = x > 0.0 ? x : 0.0; dx = x > 0.0 ? 1.0 : 0.0; break;
        default: z = v[i]; dx = 0.0; break;
        }
        v[i] = z;
        local[2 * i] = dx;
        local[2 * i + 1] = dy;
    }
}

void backward(size_t n, const uint32_t *a, const uint32_t *b, const double *local, double *g)
{
    for (size_t i = n; i-- > 0;) {
        double up = g[i], dx = local[2 * i], dy = local[2 * i + 1];
        if (up == 0.0)
            continue;
        g[a[i]] += up * dx;
        g[b[i]] += up * dy;
    }
}
