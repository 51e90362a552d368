"""What a person would write to get one gradient of lenet once: the equivalent of a whole command."""

import sys

import torch
from torch.nn import functional as nn

torch.manual_seed(0)
images, labels = torch.rand(int(sys.argv[1]), 3, 32, 32), torch.randint(10, (int(sys.argv[1]),))
conv1, fc1, fc2 = torch.nn.Conv2d(3, 6, 5), torch.nn.Linear(1176, 350), torch.nn.Linear(350, 10)
h = nn.max_pool2d(nn.relu(conv1(images)), 2).flatten(1)
loss = nn.cross_entropy(fc2(nn.relu(fc1(h))), labels)
(gradient,) = torch.autograd.grad(loss, [conv1.weight])
sys.stdout.write(
    f"conv1.weight {tuple(gradient.shape)} {gradient.norm():g} {gradient.min():g} {gradient.max():g}\n"
)
