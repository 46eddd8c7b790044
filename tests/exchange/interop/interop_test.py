"""Exported networks in onnxruntime and PyTorch beside what the program computes."""

import importlib
import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import numpy
import onnx
import onnxruntime

# The torch wheel is installed without its Python dependencies and, on a machine without a GPU, without the CUDA
# libraries, for which scripts/exchange-tests-setup makes stand-ins. Where it cannot be imported its tests are skipped,
# or fail where none may be.
sys.path.append(os.environ["SGAN_TORCH_PACKAGES"])
try:
    import torch  # noqa: E402
except ImportError as error:
    if os.environ.get("SGAN_REQUIRE_EXCHANGE"):
        raise
    torch, why_no_torch = None, f"PyTorch was not run: torch cannot be imported: {error}"
else:
    why_no_torch = ""

TOLERANCE = 1e-4  # of values up to 1; relative for larger ones


class Interop(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = tempfile.TemporaryDirectory()
        environment = {**os.environ, "SGAN_INTEROP_DIR": cls.folder.name, "OMP_NUM_THREADS": "1"}
        subprocess.run([os.environ["SGAN_TEST_EXCHANGE"], "--gtest_filter=Interop.*", "--gtest_brief=1"], check=True,
                       env=environment, stdout=subprocess.DEVNULL)
        cls.path = Path(cls.folder.name)
        cls.names = sorted(path.name.removesuffix(".onnx") for path in cls.path.glob("*.onnx"))
        sys.path.insert(0, cls.folder.name)
        if torch:
            torch.set_num_threads(1)

    @classmethod
    def tearDownClass(cls) -> None:
        sys.path.remove(cls.folder.name)
        cls.folder.cleanup()

    def assert_close(self, got: numpy.ndarray, expected: numpy.ndarray) -> None:
        self.assertEqual(got.shape, expected.shape)
        scale = max(1.0, float(numpy.abs(expected).max()))
        self.assertLessEqual(float(numpy.abs(got - expected).max()) / scale, TOLERANCE)

    def module_of(self, name: str):
        return importlib.import_module(name)

    def expected(self, name: str) -> tuple[numpy.ndarray, numpy.ndarray]:
        data = (self.path / f"{name}.expected.safetensors").read_bytes()
        size = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + size])

        def tensor(key: str) -> numpy.ndarray:
            begin, end = header[key]["data_offsets"]
            assert header[key]["dtype"] == "F32"
            values = numpy.frombuffer(data[8 + size + begin : 8 + size + end], numpy.float32)
            return values.reshape(header[key]["shape"]).copy()

        return tensor("input"), tensor("output")

    def test_every_case_is_here(self) -> None:
        self.assertGreater(len(self.names), 40)

    def test_onnx_models_are_valid_and_compute_the_same_at_any_batch_size(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        for name in self.names:
            with self.subTest(name):
                model = onnx.load(self.path / f"{name}.onnx")
                onnx.checker.check_model(model, full_check=True)
                self.assertEqual([(entry.domain, entry.version) for entry in model.opset_import], [("", 17)])
                self.assertEqual({entry.key: entry.value for entry in model.metadata_props}, {"case": name})
                session = onnxruntime.InferenceSession(self.path / f"{name}.onnx", options)
                inputs, outputs = self.expected(name)
                for count in (len(inputs), 2, 1):
                    got = session.run(None, {session.get_inputs()[0].name: inputs[:count]})[0]
                    self.assert_close(got, outputs[:count])

    @unittest.skipUnless(torch, why_no_torch)
    def test_python_modules_and_their_torchscript_compute_the_same(self) -> None:
        for name in self.names:
            with self.subTest(name):
                network = self.module_of(name).load()
                inputs, outputs = self.expected(name)
                self.assert_close(network(torch.from_numpy(inputs)).numpy(), outputs)
                script = torch.jit.script(network)
                self.assert_close(script(torch.from_numpy(inputs)).numpy(), outputs)

    @unittest.skipUnless(torch, why_no_torch)
    def test_a_module_alone_writes_torchscript(self) -> None:
        name = self.names[0]
        out = self.path / "script.pt"
        subprocess.run([sys.executable, "-c",
                        f"import sys, runpy; sys.path.append({os.environ['SGAN_TORCH_PACKAGES']!r}); "
                        f"sys.argv = ['x', {str(out)!r}]; runpy.run_path({str(self.path / name)!r} + '.py', "
                        "run_name='__main__')"], check=True)
        inputs, outputs = self.expected(name)
        self.assert_close(torch.jit.load(out)(torch.from_numpy(inputs)).numpy(), outputs)

    @unittest.skipUnless(torch, why_no_torch)
    def test_the_example_draws_the_same_from_every_format(self) -> None:
        tree = Path(__file__).resolve().parents[3]
        example = tree / "scripts/examples/load_exports.py"
        environment = {**os.environ, "PYTHONPATH": os.environ["SGAN_TORCH_PACKAGES"], "OMP_NUM_THREADS": "1"}

        def call(*command: str | Path) -> str:
            return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout

        small = ("threads=1", "train.steps=2", "train.batch=8", "generator.kind=mlp", "discriminator.kind=mlp",
                 "generator.channels=8", "discriminator.channels=8", "generator.latent=4", "generator.prior=uniform")
        for preset, is_image in (("digits/spectral.yaml", True), ("toy/ring.yaml", False)):
            run = self.path / f"run-{is_image}"
            call(os.environ["SGAN_PROGRAM"], "train", tree / "configs" / preset, *small, "--out", run)
            for network in ("generator", "discriminator")[: 1 + is_image]:
                with self.subTest(preset, network=network):
                    files = [call(os.environ["SGAN_PROGRAM"], "export", run, "--format", form, "--network", network).strip()
                             for form in ("onnx", "torchscript-compatible", "safetensors")]
                    printed = call(sys.executable, example, *files).splitlines()
                    if network == "generator" and is_image:
                        self.assertEqual(printed, [f"{file}.pgm" for file in files])
                        pixels = [Path(line).read_bytes()[-64 * 64 :] for line in printed]
                        values = [numpy.frombuffer(bytes, numpy.uint8) / 127.5 for bytes in pixels]
                    else:
                        self.assertEqual((len(printed), printed[::17]), (3 * 17, files))
                        values = [numpy.array([json.loads(line) for line in printed[i : i + 16]]) for i in (1, 18, 35)]
                    self.assertGreater(values[0].std(), 0)
                    for other in values[1:]:
                        self.assertLessEqual(numpy.abs(other - values[0]).max(), 1.01 / 127.5)


if __name__ == "__main__":
    unittest.main()
