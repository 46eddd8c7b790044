#!/usr/bin/env python3
"""The training step of `spectral-gan bench` as it is written in PyTorch, timed.

Networks, losses and optimizers are those of configs/cifar10/sngan-cnn.yaml (or sngan-resnet.yaml) at 32×32×3. README.md
beside this file explains the forms and what each does otherwise than the C++ program.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import sys
import sysconfig
import time


def fail(message):
    print(f"peer_pytorch: {message}", file=sys.stderr)
    sys.exit(2)


try:
    import torch
    import torch.nn.functional as F
    from torch import nn
    from torch.nn.utils import parametrizations, parametrize
except (ImportError, OSError) as error:
    fail(
        f"{sys.executable} cannot import torch: {error}. Run this script with the Python of an environment that has "
        "PyTorch (benchmarks/README.md says how to make one)."
    )


def peak_memory():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


MEMORY_AFTER_IMPORT = peak_memory()

LATENT = 128
IMAGE = (3, 32, 32)
IMAGES_IN_MEMORY = 2048
EMA_DECAY = 0.999
CLIP = 0.01
PENALTY_WEIGHT = 10


# Networks


def sn_cnn_generator(channels):
    width = 8 * channels
    layers = [nn.Linear(LATENT, width * 4 * 4), nn.Unflatten(1, (width, 4, 4))]
    for _ in range(3):
        layers += [
            nn.ConvTranspose2d(width, width // 2, 4, stride=2, padding=1),
            nn.BatchNorm2d(width // 2),
            nn.ReLU(inplace=True),
        ]
        width //= 2
    return nn.Sequential(*layers, nn.Conv2d(width, IMAGE[0], 3, padding=1), nn.Tanh())


def sn_cnn_discriminator(channels):
    layers = []
    inputs = IMAGE[0]
    for i, multiple in enumerate((1, 1, 2, 2, 4, 4, 8)):
        outputs = multiple * channels
        window = {"kernel_size": 3, "padding": 1} if i % 2 == 0 else {"kernel_size": 4, "stride": 2, "padding": 1}
        layers += [nn.Conv2d(inputs, outputs, **window), nn.LeakyReLU(0.1, inplace=True)]
        inputs = outputs
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(inputs * 4 * 4, 1), nn.Flatten(0))


class GeneratorBlock(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.norm0 = nn.BatchNorm2d(inputs)
        self.conv0 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv1 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x):
        h = F.interpolate(F.relu(self.norm0(x)), scale_factor=2.0, mode="nearest")
        h = self.conv1(F.relu(self.norm1(self.conv0(h))))
        return h + self.shortcut(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class FirstDiscriminatorBlock(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv0 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.conv1 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x):
        h = F.avg_pool2d(self.conv1(F.relu(self.conv0(x))), 2)
        return h + self.shortcut(F.avg_pool2d(x, 2))


class DiscriminatorBlock(nn.Module):
    def __init__(self, inputs, outputs, halves):
        super().__init__()
        self.halves = halves
        self.conv0 = nn.Conv2d(inputs, inputs, 3, padding=1)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1) if halves or inputs != outputs else nn.Identity()

    def forward(self, x):
        h = self.conv1(F.relu(self.conv0(F.relu(x))))
        x = self.shortcut(x)
        return F.avg_pool2d(h, 2) + F.avg_pool2d(x, 2) if self.halves else h + x


class SumPool(nn.Module):
    def forward(self, x):
        return x.sum((2, 3))


def sn_resnet_generator(channels):
    width = 4 * channels
    blocks = [GeneratorBlock(width, width) for _ in range(3)]
    return nn.Sequential(
        nn.Linear(LATENT, width * 4 * 4),
        nn.Unflatten(1, (width, 4, 4)),
        *blocks,
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
        nn.Conv2d(width, IMAGE[0], 3, padding=1),
        nn.Tanh(),
    )


def sn_resnet_discriminator(channels):
    width = 2 * channels
    return nn.Sequential(
        FirstDiscriminatorBlock(IMAGE[0], width),
        DiscriminatorBlock(width, width, halves=True),
        DiscriminatorBlock(width, width, halves=False),
        DiscriminatorBlock(width, width, halves=False),
        nn.ReLU(inplace=True),
        SumPool(),
        nn.Linear(width, 1, bias=False),
        nn.Flatten(0),
    )


ARCHITECTURES = {
    "sn_cnn": (sn_cnn_generator, sn_cnn_discriminator),
    "sn_resnet": (sn_resnet_generator, sn_resnet_discriminator),
}


def linear_maps(network):
    return [m for m in network.modules() if isinstance(m, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d))]


def initialize(network, arch):
    for layer in linear_maps(network):
        if arch == "sn_cnn":
            nn.init.normal_(layer.weight, 0.0, 0.02)
        else:
            nn.init.xavier_uniform_(layer.weight)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


class SpectralWeight(nn.Module):
    """W / σ(W) with one power step per forward in training mode, like PyTorch's own parametrization, but without copies
    of W: a channels-last weight is read as the matrix that lies in memory."""

    def __init__(self, weight, channels_last):
        super().__init__()
        self.channels_last = channels_last and weight.dim() == 4
        rows, columns = weight.shape[0], weight[0].numel()
        self.register_buffer("u", F.normalize(torch.randn(rows, device=weight.device), dim=0))
        self.register_buffer("v", F.normalize(torch.randn(columns, device=weight.device), dim=0))
        for _ in range(15):
            self.advance(self.matrix(weight.detach()))

    def matrix(self, weight):
        return (weight.permute(0, 2, 3, 1) if self.channels_last else weight).flatten(1)

    @torch.no_grad()
    def advance(self, matrix):
        self.u.copy_(F.normalize(torch.mv(matrix, self.v), dim=0))
        self.v.copy_(F.normalize(torch.mv(matrix.t(), self.u), dim=0))

    def forward(self, weight):
        # Autocast would take the products in bfloat16.
        with torch.autocast(weight.device.type, enabled=False):
            matrix = self.matrix(weight)
            if self.training:
                self.advance(matrix.detach())
            # Clones, because the next step writes u and v in place.
            return weight / torch.dot(self.u.clone(), torch.mv(matrix, self.v.clone()))


# Losses: what a discriminator says of real and fake samples → number


def ns_d(real, fake):
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def ns_g(fake):
    return F.softplus(-fake).mean()


def hinge_d(real, fake):
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def wgan_d(real, fake):
    return fake.mean() - real.mean()


def wgan_g(fake):
    return -fake.mean()


LOSSES = {"ns": (ns_d, ns_g), "hinge": (hinge_d, wgan_g), "wgan": (wgan_d, wgan_g)}


# Forms


class Step:
    """One discriminator and one generator update; what the forms share."""

    def __init__(self, options, device):
        self.options = options
        self.device = device
        self.format = torch.channels_last if options.channels_last else torch.contiguous_format
        make_generator, make_discriminator = ARCHITECTURES[options.arch]
        self.generator = make_generator(options.channels)
        self.discriminator = make_discriminator(options.channels)
        for network in (self.generator, self.discriminator):
            initialize(network, options.arch)
            network.to(device=device, memory_format=self.format)
        if options.strategy == "spectral":
            for layer in linear_maps(self.discriminator):
                self.add_spectral_norm(layer)
        self.average = None
        if options.ema:
            self.average = ARCHITECTURES[options.arch][0](options.channels)
            self.average.to(device=device, memory_format=self.format).requires_grad_(False)
            self.average.load_state_dict(self.generator.state_dict())
        self.loss_d, self.loss_g = LOSSES[options.loss]
        self.optimizer_d = self.optimizer(self.discriminator)
        self.optimizer_g = self.optimizer(self.generator)
        self.images = torch.randint(0, 256, (IMAGES_IN_MEMORY, *IMAGE), dtype=torch.uint8, device=device)

    def real_batch(self):
        index = torch.randint(IMAGES_IN_MEMORY, (self.options.batch,), device=self.device)
        return self.images[index].to(torch.float32, memory_format=self.format).div_(127.5).sub_(1)

    def latents(self):
        return torch.randn(self.options.batch, LATENT, device=self.device)

    def autocast(self):
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.options.precision == "bf16")

    def adam_options(self):
        # A captured optimizer has to keep its step count on the device.
        return {"lr": 2e-4, "betas": (0.5, 0.999), "capturable": self.options.cuda_graph}

    def gradient_penalty(self, real, fake):
        with torch.autocast(self.device.type, enabled=False):
            epsilon = torch.rand(real.shape[0], 1, 1, 1, device=self.device)
            x = (real + epsilon * (fake.float() - real)).requires_grad_(True)
            (gradient,) = torch.autograd.grad(self.discriminator(x).sum(), x, create_graph=True)
            return PENALTY_WEIGHT * (gradient.flatten(1).norm(2, dim=1) - 1).square().mean()

    def parameters(self):
        count = lambda network: sum(p.numel() for p in network.parameters())
        return {"generator": count(self.generator), "discriminator": count(self.discriminator)}


class Usual(Step):
    def add_spectral_norm(self, layer):
        parametrizations.spectral_norm(layer, n_power_iterations=1)
        if self.options.precision == "bf16":
            # Autocast would take its products in bfloat16, u and v being float32.
            norm = layer.parametrizations.weight[0]
            norm.forward = torch.autocast(self.device.type, enabled=False)(norm.forward)

    def optimizer(self, network):
        return torch.optim.Adam(network.parameters(), **self.adam_options())

    def update_discriminator(self):
        real = self.real_batch()
        self.optimizer_d.zero_grad()
        with self.autocast():
            fake = self.generator(self.latents()).detach()
            critic_real = self.discriminator(real)
            critic_fake = self.discriminator(fake)
        loss = self.loss_d(critic_real.float(), critic_fake.float())
        if self.options.strategy == "gp":
            loss = loss + self.gradient_penalty(real, fake)
        loss.backward()
        self.optimizer_d.step()
        if self.options.strategy == "clip":
            for parameter in self.discriminator.parameters():
                parameter.data.clamp_(-CLIP, CLIP)

    def update_generator(self):
        self.optimizer_g.zero_grad()
        with self.autocast():
            critic_fake = self.discriminator(self.generator(self.latents()))
        self.loss_g(critic_fake.float()).backward()
        self.optimizer_g.step()
        if self.average is not None:
            with torch.no_grad():
                for mean, value in zip(self.average.parameters(), self.generator.parameters()):
                    mean.mul_(EMA_DECAY).add_(value, alpha=1 - EMA_DECAY)
                for mean, value in zip(self.average.buffers(), self.generator.buffers()):
                    mean.copy_(value)


class Best(Step):
    def __init__(self, options, device):
        super().__init__(options, device)
        self.weights_d = list(self.discriminator.parameters())
        self.generate = self.generator
        self.judge = self.discriminator
        self.whole_loss_d = self.discriminator_loss
        self.whole_loss_g = self.generator_loss
        if options.compile == "networks":
            self.generate = torch.compile(self.generator)
            self.judge = torch.compile(self.discriminator)
        elif options.compile == "losses":
            self.whole_loss_d = torch.compile(self.discriminator_loss)
            self.whole_loss_g = torch.compile(self.generator_loss)
            self.generate_alone = torch.compile(self.generator)
        if options.compile != "losses":
            self.generate_alone = self.generate

    def add_spectral_norm(self, layer):
        parametrization = SpectralWeight(layer.weight, self.options.channels_last)
        parametrize.register_parametrization(layer, "weight", parametrization)

    def optimizer(self, network):
        return torch.optim.Adam(network.parameters(), fused=True, **self.adam_options())

    def discriminator_loss(self, real, fake):
        with self.autocast():
            critic_real, critic_fake = self.judge(torch.cat((real, fake))).float().chunk(2)
        return self.loss_d(critic_real, critic_fake)

    def generator_loss(self, latents):
        with self.autocast():
            critic_fake = self.judge(self.generate(latents))
        return self.loss_g(critic_fake.float())

    def update_discriminator(self):
        real = self.real_batch()
        with torch.no_grad(), self.autocast():
            fake = self.generate_alone(self.latents()).float()
        # In training mode u and v advance at each forward; once an update is enough.
        self.discriminator.train()
        loss = self.whole_loss_d(real, fake)
        if self.options.strategy == "gp":
            loss = loss + self.gradient_penalty(real, fake)
        loss.backward()
        self.optimizer_d.step()
        self.optimizer_d.zero_grad(set_to_none=True)
        if self.options.strategy == "clip":
            with torch.no_grad():
                torch._foreach_clamp_min_(self.weights_d, -CLIP)
                torch._foreach_clamp_max_(self.weights_d, CLIP)

    def update_generator(self):
        self.discriminator.eval()
        for parameter in self.weights_d:
            parameter.requires_grad_(False)
        self.whole_loss_g(self.latents()).backward()
        for parameter in self.weights_d:
            parameter.requires_grad_(True)
        self.optimizer_g.step()
        self.optimizer_g.zero_grad(set_to_none=True)
        if self.average is not None:
            with torch.no_grad():
                means, values = list(self.average.parameters()), list(self.generator.parameters())
                torch._foreach_lerp_(means, values, 1 - EMA_DECAY)
                torch._foreach_copy_(list(self.average.buffers()), list(self.generator.buffers()))


class Convolutions(Step):
    """The convolutions and linear layers of one step alone, each pass that the step needs and no other: what is left of a
    step's time with these kernels when all else costs nothing."""

    def __init__(self, options, device):
        super().__init__(options, device)
        batch = options.batch
        self.maps_g = self.record(self.generator, self.latents())
        self.maps_d = self.record(self.discriminator, self.real_batch())
        self.maps_both = self.record(self.discriminator, torch.cat((self.real_batch(), self.real_batch())))
        self.kind = torch.bfloat16 if options.precision == "bf16" else torch.float32
        for maps in (self.maps_g, self.maps_d, self.maps_both):
            maps[:] = [(layer, x.to(self.kind), g.to(self.kind)) for layer, x, g in maps]
        self.weights = {
            layer: (layer.weight.detach().to(self.kind), None if layer.bias is None else layer.bias.detach().to(self.kind))
            for layer in linear_maps(self.generator) + linear_maps(self.discriminator)
        }

    def add_spectral_norm(self, layer):
        pass  # not a convolution

    def optimizer(self, network):
        return None

    @staticmethod
    def record(network, x):
        """(layer, its input, a gradient of its output's shape and layout), in the order of the forward pass."""
        maps = []

        def note(layer, inputs, output):
            maps.append((layer, inputs[0].detach().clone(), torch.randn_like(output)))

        hooks = [layer.register_forward_hook(note) for layer in linear_maps(network)]
        with torch.no_grad():
            network(x)
        for hook in hooks:
            hook.remove()
        return maps

    def forward(self, maps):
        for layer, x, _ in maps:
            weight, bias = self.weights[layer]
            if isinstance(layer, nn.Linear):
                F.linear(x, weight, bias)
            elif isinstance(layer, nn.ConvTranspose2d):
                F.conv_transpose2d(x, weight, bias, layer.stride, layer.padding)
            else:
                F.conv2d(x, weight, bias, layer.stride, layer.padding)

    def backward(self, maps, of_weights, of_first_input):
        for i, (layer, x, gradient) in reversed(list(enumerate(maps))):
            of_input = i > 0 or of_first_input
            weight, bias = self.weights[layer]
            of_bias = of_weights and bias is not None
            if isinstance(layer, nn.Linear):
                if of_input:
                    torch.mm(gradient, weight)
                if of_weights:
                    torch.mm(gradient.t(), x)
                if of_bias:
                    gradient.sum(0)
                continue
            torch.ops.aten.convolution_backward(
                gradient,
                x,
                weight,
                [layer.out_channels],
                layer.stride,
                layer.padding,
                layer.dilation,
                isinstance(layer, nn.ConvTranspose2d),
                layer.output_padding,
                layer.groups,
                [of_input, of_weights, of_bias],
            )

    @torch.no_grad()
    def update_discriminator(self):
        self.forward(self.maps_g)
        self.forward(self.maps_both)
        self.backward(self.maps_both, of_weights=True, of_first_input=False)

    @torch.no_grad()
    def update_generator(self):
        self.forward(self.maps_g)
        self.forward(self.maps_d)
        self.backward(self.maps_d, of_weights=False, of_first_input=True)
        self.backward(self.maps_g, of_weights=True, of_first_input=False)


FORMS = {"usual": Usual, "best": Best, "convolutions": Convolutions}


# Timing


def captured(step, warmup):
    """Both updates as CUDA graphs, after warming them up on a stream of their own as capturing asks."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(max(3, warmup)):
            step.update_discriminator()
            step.update_generator()
    torch.cuda.current_stream().wait_stream(stream)
    for optimizer in (step.optimizer_d, step.optimizer_g):
        if optimizer is not None:
            optimizer.zero_grad(set_to_none=True)

    # They share memory, so that they have to be replayed in the order of their capture.
    graph_d, graph_g = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph_d):
        step.update_discriminator()
    with torch.cuda.graph(graph_g, pool=graph_d.pool()):
        step.update_generator()
    return graph_d.replay, graph_g.replay


def measure(step, options, device):
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    update_d, update_g = step.update_discriminator, step.update_generator
    if options.cuda_graph:
        update_d, update_g = captured(step, options.warmup)
    times = []
    for i in range(options.warmup + options.steps):
        wait()
        begun = time.perf_counter()
        update_d()
        wait()
        between = time.perf_counter()
        update_g()
        wait()
        ended = time.perf_counter()
        if i >= options.warmup:
            times.append((1000 * (between - begun), 1000 * (ended - between)))
    return times


def summary(values):
    return {"median": statistics.median(values), "min": min(values), "mean": statistics.fmean(values)}


def why_no_compile():
    """Why torch.compile cannot work here, or None: on a CPU it compiles C++ against the headers of this Python."""
    header = os.path.join(sysconfig.get_path("include"), "Python.h")
    if not os.path.exists(header):
        return f"{header} is missing: install the headers of Python {sys.version_info.major}.{sys.version_info.minor} (Debian: python3-dev)"
    if shutil.which(os.environ.get("CXX", "g++")) is None:
        return "there is no C++ compiler: install g++ or name one in CXX"
    return None


def keep_freed_memory():
    """glibc returns each large tensor to the system and has its pages cleared at the next use; keeping them saves that."""
    import ctypes

    m_trim_threshold, m_mmap_threshold, most = -1, -3, 2**31 - 1
    libc = ctypes.CDLL(None)
    if not (libc.mallopt(m_mmap_threshold, most) and libc.mallopt(m_trim_threshold, most)):
        fail("mallopt refused: --malloc keep needs glibc.")


def positive(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value


def not_negative(text):
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is negative")
    return value


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--form", choices=FORMS, default="usual")
    parser.add_argument("--arch", choices=ARCHITECTURES, default="sn_cnn")
    parser.add_argument("--strategy", choices=("none", "spectral", "clip", "gp"), default="spectral")
    parser.add_argument("--loss", choices=LOSSES, help="default: ns for sn_cnn, hinge for sn_resnet")
    parser.add_argument("--batch", type=positive, default=64)
    parser.add_argument("--channels", type=positive, default=64)
    parser.add_argument("--ema", action="store_true", help="average the generator's weights")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--precision", choices=("fp32", "tf32", "bf16"), default="fp32")
    parser.add_argument("--threads", type=positive, help="default: PyTorch's")
    parser.add_argument("--steps", type=positive, default=20)
    parser.add_argument("--warmup", type=not_negative, default=3)
    parser.add_argument("--channels-last", action="store_true", help="images and kernels channels last in memory")
    parser.add_argument("--compile", choices=("off", "networks", "losses"), default="off", help="torch.compile them")
    parser.add_argument("--malloc", choices=("default", "keep"), default="default", help="keep: reuse freed tensors' pages")
    parser.add_argument("--cuda-graph", action="store_true", help="capture both updates and replay them")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    options = parser.parse_args(arguments)

    if options.loss is None:
        options.loss = "hinge" if options.arch == "sn_resnet" else "ns"
    if options.device == "cuda" and not torch.cuda.is_available():
        fail("--device cuda: this PyTorch sees no CUDA device. Use --device cpu.")
    if options.device == "cpu" and options.precision == "tf32":
        fail("--precision tf32 is a number format of NVIDIA GPUs. Use --device cuda or --precision fp32.")
    if options.device == "cpu" and options.cuda_graph:
        fail("--cuda-graph captures CUDA kernels. Use --device cuda.")
    if options.form == "convolutions" and (options.ema or options.strategy not in ("none", "spectral")):
        fail("--form convolutions times convolutions alone: it takes neither --ema nor --strategy clip or gp.")
    if options.compile != "off":
        if options.form != "best":
            fail(f"--compile belongs to --form best, the form is {options.form}.")
        if options.strategy == "gp":
            fail("--compile: torch.compile does not support the gradient penalty's second derivatives. Use --compile off.")
        reason = why_no_compile()
        if reason is not None:
            fail(f"torch.compile is unavailable: {reason}. Or use --compile off.")
    return options


def main(arguments):
    options = parse(arguments)
    device = torch.device(options.device)
    if options.malloc == "keep":
        keep_freed_memory()
    # Before the threads start, which take it over.
    if options.form != "usual":
        torch.set_flush_denormal(True)
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    torch.backends.cuda.matmul.allow_tf32 = options.precision != "fp32"
    torch.backends.cudnn.allow_tf32 = options.precision != "fp32"
    torch.backends.cudnn.benchmark = options.form != "usual"
    torch.manual_seed(0)

    step = FORMS[options.form](options, device)
    times = measure(step, options, device)
    totals = [d + g for d, g in times]
    reason = why_no_compile()
    result = {
        "program": "pytorch",
        "version": torch.__version__,
        "form": options.form,
        "arch": options.arch,
        "strategy": options.strategy,
        "loss": options.loss,
        "batch": options.batch,
        "channels": options.channels,
        "ema": options.ema,
        "threads": torch.get_num_threads(),
        "device": options.device if device.type == "cpu" else torch.cuda.get_device_name(),
        "precision": options.precision,
        "channels_last": options.channels_last,
        "compile": options.compile,
        "torch_compile": "available" if reason is None else f"unavailable: {reason}",
        "malloc": options.malloc,
        "cuda_graph": options.cuda_graph,
        "steps": options.steps,
        "ms_per_step": summary(totals),
        "ms_discriminator": summary([d for d, _ in times]),
        "ms_generator": summary([g for _, g in times]),
        "images_per_second": 1000 * options.batch / statistics.median(totals),
        "peak_memory_bytes": peak_memory(),
        "memory_after_import_bytes": MEMORY_AFTER_IMPORT,
        "peak_device_memory_bytes": torch.cuda.max_memory_allocated() if device.type == "cuda" else None,
        "parameters": step.parameters(),
    }
    if options.json:
        print(json.dumps(result))
        return
    ms = result["ms_per_step"]
    print(
        f"{options.form} {options.arch} {options.strategy}: {ms['median']:.1f} ms a step (least {ms['min']:.1f}), "
        f"D {result['ms_discriminator']['median']:.1f}, G {result['ms_generator']['median']:.1f}, "
        f"{result['images_per_second']:.0f} images/s, "
        f"{(result['peak_memory_bytes'] - MEMORY_AFTER_IMPORT) / 2**20:.0f} MiB beyond the libraries"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
