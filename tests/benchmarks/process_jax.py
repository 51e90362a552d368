"""What a person would write in JAX to get one gradient of lenet once: the equivalent of a whole command."""

import sys

import jax
import jax.numpy as jnp

jax.config.update("jax_platforms", "cpu")
N = int(sys.argv[1])
keys = jax.random.split(jax.random.key(0), 8)
images, labels = jax.random.uniform(keys[0], (N, 3, 32, 32)), jax.random.randint(keys[1], (N,), 0, 10)


def uniform(key, *shape):
    bound = (shape[0] if len(shape) == 1 else jnp.prod(jnp.array(shape[1:]))) ** -0.5
    return jax.random.uniform(key, shape, minval=-bound, maxval=bound)


conv1, bias1 = uniform(keys[2], 6, 3, 5, 5), uniform(keys[3], 6)
fc1, fc1_bias = uniform(keys[4], 350, 1176), uniform(keys[5], 350)
fc2, fc2_bias = uniform(keys[6], 10, 350), uniform(keys[7], 10)


@jax.jit
@jax.grad
def gradient(conv1):
    h = jax.nn.relu(jax.lax.conv(images, conv1, (1, 1), "VALID") + bias1[:, None, None])
    h = jax.lax.reduce_window(h, -jnp.inf, jax.lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")
    h = jax.nn.relu(h.reshape(N, -1) @ fc1.T + fc1_bias)
    logits = jax.nn.log_softmax(h @ fc2.T + fc2_bias)
    return -jnp.take_along_axis(logits, labels[:, None], 1).mean()


g = gradient(conv1)
sys.stdout.write(f"conv1.weight {g.shape} {jnp.linalg.norm(g):g} {g.min():g} {g.max():g}\n")
