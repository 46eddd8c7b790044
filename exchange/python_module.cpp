#include "exchange/python_module.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <set>

#include "exchange/input_rounding.h"
#include "models/dense_node.h"
#include "normalization/affine_norm.h"
#include "normalization/scale_norm.h"

namespace sgan {
namespace {

// Words, each between blanks.
constexpr std::string_view kPythonWords =
    " "
    "False None True and as assert async await break class continue def del elif else except finally for "
    "from global if import in is lambda nonlocal not or pass raise return try while with yield ";

// Modules that `import torch` takes, from Python's standard library (3.11, and names that are newer) and elsewhere: a
// file of that name that is found before them would be imported in their place.
constexpr std::string_view kTakenModules =
    " "
    "abc aifc annotationlib antigravity argparse array ast asynchat asyncio asyncore atexit audioop "
    "base64 bdb binascii bisect builtins bz2 cProfile calendar cgi cgitb chunk cmath cmd code codecs "
    "codeop collections colorsys compileall compression concurrent configparser contextlib contextvars "
    "copy copyreg crypt csv ctypes curses dataclasses datetime dbm decimal difflib dis distutils doctest "
    "email encodings ensurepip enum errno faulthandler fcntl filecmp fileinput filelock fnmatch fractions "
    "fsspec ftplib functools functorch gc genericpath getopt getpass gettext glob graphlib grp gzip "
    "hashlib heapq hmac html http idlelib imaplib imghdr imp importlib inspect io ipaddress itertools "
    "jinja2 json keyword lib2to3 linecache locale logging lzma mailbox mailcap markupsafe marshal math "
    "mimetypes mmap modulefinder mpmath msilib msvcrt multiprocessing netrc networkx nis nntplib nt "
    "ntpath nturl2path numbers numpy opcode operator optparse os ossaudiodev pathlib pdb pickle "
    "pickletools pipes pkgutil platform plistlib poplib posix posixpath pprint profile pstats pty pwd "
    "py_compile pyclbr pydoc pydoc_data pyexpat queue quopri random re readline reprlib resource "
    "rlcompleter runpy sched secrets select selectors shelve shlex shutil signal site smtpd smtplib "
    "sndhdr socket socketserver spwd sqlite3 sre_compile sre_constants sre_parse ssl stat statistics "
    "string stringprep struct subprocess sunau sympy symtable sys sysconfig syslog tabnanny tarfile "
    "telnetlib tempfile termios textwrap this threading time timeit tkinter token tokenize tomllib torch "
    "torchgen trace traceback tracemalloc triton tty turtle turtledemo types typing typing_extensions "
    "unicodedata unittest urllib uu uuid venv warnings wave weakref webbrowser winreg winsound wsgiref "
    "xdrlib xml xmlrpc zipapp zipfile zipimport zlib zoneinfo ";

constexpr std::string_view kFirstWords = "\"\"\"A ";
constexpr std::string_view kLastWords = " trained by spectral-gan, for PyTorch and nothing else.";

// Modules that PyTorch has not, by the name of their class; only those in use are written.
const std::map<std::string, std::string>& helpers() {
  static const std::map<std::string, std::string> kHelpers = {
      {"InputRounding", R"py(class InputRounding(nn.Module):
    """Cuts to [low, high] and rounds to multiples of step, as the network was trained to."""

    def __init__(self, low: float, high: float, step: float):
        super().__init__()
        self.low, self.high, self.step = low, high, step
        self.clip = nn.Parameter(torch.zeros(()))  # stored beside the weights; the three numbers follow from it

    def forward(self, x: Tensor) -> Tensor:
        return torch.round(torch.clamp(x, self.low, self.high) / self.step) * self.step
)py"},
      {"MeanOnlyBatchNorm", R"py(class MeanOnlyBatchNorm(nn.Module):
    """x - running mean + bias, per channel."""

    def __init__(self, channels: int):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        shift = self.bias - self.running_mean
        return x + (shift[:, None, None] if x.dim() == 4 else shift)
)py"},
      {"PositionLayerNorm", R"py(class PositionLayerNorm(nn.Module):
    """Layer norm over the channels at each position."""

    def __init__(self, channels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        last = x.movedim(1, -1)
        return F.layer_norm(last, list(self.weight.shape), self.weight, self.bias, 1e-5).movedim(-1, 1)
)py"},
      {"RmsNorm", R"py(class RmsNorm(nn.Module):
    """x / sqrt(mean x^2 + 1e-5) over each sample, times a gain per channel."""

    def __init__(self, channels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        scale = torch.rsqrt(x.square().flatten(1).mean(1) + 1e-5)
        if x.dim() == 4:
            return x * scale[:, None, None, None] * self.weight[:, None, None]
        return x * scale[:, None] * self.weight
)py"},
      {"ScaleNorm", R"py(class ScaleNorm(nn.Module):
    """g x / max(|x|, 1e-5); x is a whole sample, or the channels at each position."""

    def __init__(self, per_position: bool):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.per_position = per_position

    def forward(self, x: Tensor) -> Tensor:
        if self.per_position or x.dim() == 2:
            squares = x.square().sum(1, keepdim=True)
        else:
            squares = x.square().sum((1, 2, 3), keepdim=True)
        return self.weight * x / squares.clamp_min(1e-10).sqrt()
)py"},
  };
  return kHelpers;
}
static_assert(kNormEps == 1e-5 && kLeastLength == 1e-5, "the Python text has these numbers");

// One class: its __init__ and its forward.
struct ClassText {
  std::string name;
  std::string description;
  std::vector<std::string> members;
  std::vector<std::string> steps;

  std::string text() const {
    std::string result = fmt::format("class {}(nn.Module):\n    \"\"\"{}\"\"\"\n\n", name, description);
    result += "    def __init__(self):\n        super().__init__()\n";
    for (const auto& line : members) result += "        " + line + "\n";
    result += "\n    def forward(self, x: Tensor) -> Tensor:\n";
    for (const auto& line : steps) result += "        " + line + "\n";
    return result;
  }
};

std::string capitalized(std::string name) {
  name[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(name[0])));
  return name;
}

std::string tuple_of(const std::vector<int64_t>& sizes) {
  return fmt::format("({}{})", fmt::join(sizes, ", "), sizes.size() == 1 ? "," : "");
}

// A Python float that reads back as the same double.
std::string literal(double value) {
  auto text = fmt::format("{}", value);
  return text.find_first_of(".e") == std::string::npos ? text + ".0" : text;
}

class Writer {
 public:
  explicit Writer(const NetworkSignature& signature) : signature_(signature) {}

  std::string write(const Composition& nodes, const std::string& module_name) {
    ClassText network{capitalized(signature_.name),
                      fmt::format("{} {} -> {}, in eval mode.", signature_.input, shape_text(signature_.input_shape),
                                  signature_.output + (signature_.output_shape.empty()
                                                           ? std::string(" (N)")
                                                           : fmt::format(" {}", shape_text(signature_.output_shape)))),
                      {},
                      {}};
    shape_ = signature_.input_shape;
    add(network, nodes, "", "x");
    network.steps.push_back(fmt::format("return x.reshape({})", tuple_of(batched(signature_.output_shape))));
    return fmt::format(fmt::runtime(kFile), fmt::arg("first_words", kFirstWords), fmt::arg("last_words", kLastWords),
                       fmt::arg("name", signature_.name), fmt::arg("class", network.name),
                       fmt::arg("classes", classes() + network.text()), fmt::arg("module", module_name),
                       fmt::arg("input", signature_.input), fmt::arg("input_shape", tuple_of(signature_.input_shape)));
  }

 private:
  static constexpr const char* kFile = R"py({first_words}{name}{last_words}

    from {module} import load
    network = load()

`python3 {module}.py OUT.pt` writes it as TorchScript.
"""

import json
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WEIGHTS = Path(__file__).with_suffix(".safetensors")
INPUT_SHAPE = {input_shape}  # of one sample of {input}


{classes}

def read_safetensors(path) -> dict[str, Tensor]:
    """The tensors of a file: 8 bytes of header length, a JSON header, the numbers."""
    data = Path(path).read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    types = {{"F32": torch.float32, "I64": torch.int64}}
    tensors = {{}}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        numbers = bytearray(data[8 + length + begin : 8 + length + end])
        tensors[name] = torch.frombuffer(numbers, dtype=types[entry["dtype"]]).reshape(entry["shape"])
    return tensors


def load(path=WEIGHTS) -> {class}:
    """The trained network, in eval mode."""
    network = {class}()
    network.load_state_dict(read_safetensors(path))
    return network.eval().requires_grad_(False)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    torch.jit.script(load()).save(sys.argv[1])
)py";

  static std::string shape_text(const std::vector<int64_t>& shape) {
    return fmt::format("(N, {})", fmt::join(shape, ", "));
  }

  std::string classes() const {
    std::string text;
    for (const auto& name : used_helpers_) text += helpers().at(name) + "\n\n";
    for (const auto& block : blocks_) text += block + "\n\n";
    return text;
  }

  std::string helper(const std::string& name) {
    used_helpers_.insert(name);
    return name;
  }

  // Adds what the nodes do, in terms of the variable `x`. prefix: of the names in this class, which has them without.
  void add(ClassText& target, const Composition& nodes, const std::string& prefix, const std::string& x) {
    for (const Node& node : nodes) {
      if (shape_ != node.input && !is_dense(node)) {
        target.steps.push_back(fmt::format("{0} = {0}.reshape({1})", x, tuple_of(batched(node.input))));
      }
      const auto name = node.name.substr(node.name.starts_with(prefix) ? prefix.size() : 0);
      std::visit([&](const auto& what) { emit(target, node, name, what, x); }, node.what);
      shape_ = output_shape(node);
    }
  }

  void emit(ClassText& target, const Node&, const std::string& name, const LinearMap& map, const std::string& x) {
    const auto& geometry = map.layer->geometry();
    const bool bias = map.layer->bias().defined();
    const auto in = geometry.in_channels;
    const auto out = geometry.out_channels;
    const char* bias_text = bias ? "" : ", bias=False";
    const bool dense = geometry.kind == OperatorKind::linear;
    if (dense) {
      target.members.push_back(fmt::format("self.{} = nn.Linear({}, {}{})", name, in, out, bias_text));
    } else {
      target.members.push_back(fmt::format("self.{} = nn.{}({}, {}, {}, stride={}, padding={}{})", name,
                                           geometry.kind == OperatorKind::conv ? "Conv2d" : "ConvTranspose2d", in, out,
                                           geometry.kernel, geometry.stride, geometry.padding, bias_text));
    }
    std::string input = dense && shape_.size() == 3 ? x + ".flatten(1)" : x;
    if (!map.layer->input_quantizer().is_empty()) {
      const auto rounding = input_rounding(*map.layer->input_quantizer());
      target.members.push_back(fmt::format("self.{}.input_quantizer = {}({}, {}, {})", name, helper("InputRounding"),
                                           literal(rounding.low), literal(rounding.high), literal(rounding.step)));
      input = fmt::format("self.{}.input_quantizer({})", name, input);
    }
    target.steps.push_back(fmt::format("{} = self.{}({})", x, name, input));
  }

  void emit(ClassText& target, const Node&, const std::string&, const Pointwise& pointwise, const std::string& x) {
    switch (pointwise.activation) {
      case Activation::identity:
        return;
      case Activation::relu:
        target.steps.push_back(fmt::format("{0} = F.relu({0})", x));
        return;
      case Activation::leaky_relu:
        target.steps.push_back(fmt::format("{0} = F.leaky_relu({0}, {1})", x, literal(pointwise.slope)));
        return;
      case Activation::tanh:
        target.steps.push_back(fmt::format("{0} = torch.tanh({0})", x));
        return;
    }
    TORCH_CHECK(false, "no Python for activation ", static_cast<int>(pointwise.activation));
  }

  void emit(ClassText& target, const Node&, const std::string&, const Pooling& pooling, const std::string& x) {
    switch (pooling.kind) {
      case Pooling::Kind::average:
        target.steps.push_back(fmt::format("{0} = F.avg_pool2d({0}, {1})", x, pooling.window));
        return;
      case Pooling::Kind::sum:
        target.steps.push_back(fmt::format("{0} = {0}.sum((2, 3))", x));
        return;
      case Pooling::Kind::upsample:
        target.steps.push_back(fmt::format("{0} = F.interpolate({0}, scale_factor={1}, mode=\"nearest\")", x,
                                           literal(static_cast<double>(pooling.window))));
        return;
    }
    TORCH_CHECK(false, "no Python for pooling ", static_cast<int>(pooling.kind));
  }

  std::string norm_text(const Node& node, NormKind kind) {
    const auto channels = node.input[0];
    switch (kind) {
      case NormKind::none:
        return "nn.Identity()";
      case NormKind::batch:
        return fmt::format("nn.BatchNorm{}d({})", node.input.size() == 3 ? 2 : 1, channels);
      case NormKind::mean_only_batch:
        return fmt::format("{}({})", helper("MeanOnlyBatchNorm"), channels);
      case NormKind::layer:
        return fmt::format("nn.GroupNorm(1, {})", channels);
      case NormKind::layer_position:
        return fmt::format("{}({})", helper("PositionLayerNorm"), channels);
      case NormKind::instance:
        return fmt::format("nn.InstanceNorm2d({})", channels);
      case NormKind::rms:
        return fmt::format("{}({})", helper("RmsNorm"), channels);
      case NormKind::scale_sample:
        return fmt::format("{}(per_position=False)", helper("ScaleNorm"));
      case NormKind::scale_position:
        return fmt::format("{}(per_position=True)", helper("ScaleNorm"));
    }
    TORCH_CHECK(false, "no Python for norm ", name_of(kind));
  }

  void emit(ClassText& target, const Node& node, const std::string& name, const Normalization& normalization,
            const std::string& x) {
    target.members.push_back(fmt::format("self.{} = {}", name, norm_text(node, normalization.kind)));
    target.steps.push_back(fmt::format("{0} = self.{1}({0})", x, name));
  }

  void emit(ClassText& target, const Node& node, const std::string& name, const Residual& residual,
            const std::string& x) {
    ClassText block{capitalized(name), "A residual block.", {}, {}};
    shape_ = node.input;
    block.steps.push_back("shortcut = x");
    add(block, residual.branch, node.name + ".", "x");
    shape_ = node.input;
    add(block, residual.shortcut, node.name + ".", "shortcut");
    block.steps.push_back("return x + shortcut");
    blocks_.push_back(block.text());
    target.members.push_back(fmt::format("self.{} = {}()", name, block.name));
    target.steps.push_back(fmt::format("{0} = self.{1}({0})", x, name));
  }

  const NetworkSignature& signature_;
  std::vector<int64_t> shape_;
  std::set<std::string> used_helpers_;
  std::vector<std::string> blocks_;
};

}  // namespace

std::string python_module(const NetworkImpl& network, const NetworkSignature& signature,
                          const std::string& module_name) {
  return Writer(signature).write(network.composition(), module_name);
}

bool is_python_module(std::string_view text) {
  return text.starts_with(kFirstWords) && text.substr(0, text.find('\n')).ends_with(kLastWords);
}

std::string module_name_fault(const std::string& name) {
  const auto is_letter = [](unsigned char c) { return c < 0x80 && (std::isalpha(c) != 0 || c == '_'); };
  const auto is_part = [&](unsigned char c) { return is_letter(c) || std::isdigit(c) != 0; };
  if (name.empty() || !is_letter(static_cast<unsigned char>(name[0])) || !std::ranges::all_of(name, is_part)) {
    return "Python imports NAME.py alone, NAME of letters, digits and _";
  }
  const auto word = fmt::format(" {} ", name);
  if (kPythonWords.find(word) != std::string_view::npos) return fmt::format("{} is a word of Python", name);
  if (kTakenModules.find(word) != std::string_view::npos) {
    return fmt::format("{} is a module that PyTorch or Python has, and this file would stand before it", name);
  }
  return "";
}

}  // namespace sgan
