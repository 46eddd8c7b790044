"""TensorBoard's own reader on event files that the program writes."""

import json
import os
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

from tensorboard import context
from tensorboard.backend.event_processing import data_provider, plugin_event_multiplexer
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins import base_plugin
from tensorboard.plugins.hparams import api_pb2, backend_context, get_experiment, list_session_groups, plugin_data_pb2

PROGRAM = os.environ["SGAN_PROGRAM"]
TREE = Path(__file__).resolve().parents[3]
EVERYTHING = {kind: 0 for kind in ("scalars", "images", "histograms", "tensors", "compressedHistograms")}


def run(*arguments: str) -> str:
    return subprocess.run([PROGRAM, *arguments], check=True, capture_output=True, text=True).stdout


def read(folder: Path) -> EventAccumulator:
    accumulator = EventAccumulator(str(folder), size_guidance=EVERYTHING)
    accumulator.Reload()
    return accumulator


SMALL = ("threads=1", "train.batch=8", "log.every=1", "generator.kind=mlp", "discriminator.kind=mlp",
         "generator.channels=8", "discriminator.channels=8", "generator.latent=4")


def train(out: Path, *overrides: str) -> None:
    run("train", str(TREE / "configs/digits/spectral.yaml"), *SMALL, *overrides, "--out", str(out))


def wait_for(condition, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("waited in vain")
        time.sleep(0.1)


def hparams_page(folder: Path) -> tuple[api_pb2.Experiment, dict[str, api_pb2.SessionGroup]]:
    """What TensorBoard's server sends to its HParams page: the columns, and the rows by name."""
    multiplexer = plugin_event_multiplexer.EventMultiplexer()
    multiplexer.AddRunsFromDirectory(str(folder))
    multiplexer.Reload()
    provider = data_provider.MultiplexerDataProvider(multiplexer, str(folder))
    backend = backend_context.Context(base_plugin.TBContext(data_provider=provider))
    request = context.RequestContext()
    experiment = get_experiment.Handler(request, backend, "", api_pb2.GetExperimentRequest()).run()
    wanted = api_pb2.ListSessionGroupsRequest(start_index=0, slice_size=100, allowed_statuses=[0, 1, 2, 3])
    for info in experiment.metric_infos:
        wanted.col_params.add().metric.CopyFrom(info.name)
    groups = list_session_groups.Handler(request, backend, "", wanted).run().session_groups
    return experiment, {group.name: group for group in groups}


class Tensorboard(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = tempfile.TemporaryDirectory()
        cls.path = Path(cls.folder.name)
        cls.run_folder = cls.path / "run"
        train(cls.run_folder, "train.steps=6", "sample.every=3", "sample.count=4", "checkpoint.every=2",
              "checkpoint.keep=2", "lipschitz.every=2", "evaluation.every=3", "evaluation.generated=32",
              "evaluation.metrics=swd", "evaluation.features=none", "lipschitz.bracket=true", "--stop-at", "5")

    @classmethod
    def tearDownClass(cls) -> None:
        cls.folder.cleanup()

    def metrics(self) -> list[dict]:
        return [json.loads(line) for line in (self.run_folder / "metrics.jsonl").read_text().splitlines()]

    def assert_agrees(self, events: EventAccumulator) -> None:
        lines = self.metrics()
        tags = events.Tags()
        for tag, key in (("loss/D", "loss_d"), ("loss/G", "loss_g"), ("critic/real", "critic_real")):
            scalars = events.Scalars(tag)
            self.assertEqual([scalar.step for scalar in scalars], [line["step"] for line in lines])
            for scalar, line in zip(scalars, lines):
                self.assertAlmostEqual(scalar.value, line[key], places=5)
        probed = [line for line in lines if "critic_slope" in line]
        self.assertEqual([scalar.step for scalar in events.Scalars("lipschitz/slope/max")],
                         [line["step"] for line in probed])
        self.assertTrue(any(tag.startswith("lipschitz/sigma_effective/") for tag in tags["scalars"]))
        evaluations = sorted(self.run_folder.glob("evaluation/step-*.json"))
        scores = events.Scalars("scores/swd")
        self.assertEqual(len(scores), len(evaluations))
        for scalar, path in zip(scores, evaluations):
            self.assertAlmostEqual(scalar.value, json.loads(path.read_text())["scores"]["swd"]["value"], places=2)
        grids = sorted(self.run_folder.glob("samples/step-*.png"))
        images = events.Images("samples/generated")
        self.assertEqual([image.encoded_image_string for image in images], [path.read_bytes() for path in grids])
        self.assertEqual([image.step for image in images], [int(path.stem.removeprefix("step-")) for path in grids])
        checkpoints = sorted(int(path.stem.removeprefix("step-"))
                             for path in self.run_folder.glob("checkpoints/step-*.safetensors"))
        for tag in ("weights/G/linear0", "weights/D/linear0"):
            steps = [entry.step for entry in events.Histograms(tag)]  # also of checkpoints that are pruned by now
            self.assertEqual(steps, sorted(set(steps)))
            self.assertLessEqual(set(checkpoints), set(steps))
        # 8 hidden units of 16×16 pixels.
        self.assertEqual(events.Histograms("weights/D/linear0")[-1].histogram_value.num, 8 * 256)
        brackets = sorted(self.run_folder.glob("lipschitz/step-*.json"))
        self.assertTrue(brackets)
        network = json.loads(brackets[-1].read_text())["network"]
        slopes = network["slopes"]
        for where, group in slopes.items():
            histogram = events.Histograms(f"lipschitz/slopes/{where}")[-1].histogram_value
            self.assertEqual(histogram.num, len(group["values"]))
            self.assertAlmostEqual(histogram.sum, sum(group["values"]), places=5)
        self.assertAlmostEqual(events.Scalars("lipschitz/upper")[-1].value, network["upper"], places=3)
        self.assertIn((self.run_folder / "config.yaml").read_text().strip(),
                      events.Tensors("config")[0].tensor_proto.string_val[0].decode())

    def hparams(self, events: EventAccumulator, tag: str) -> plugin_data_pb2.HParamsPluginData:
        content = events.SummaryMetadata(tag).plugin_data.content
        return plugin_data_pb2.HParamsPluginData.FromString(content)

    def test_1_every_tag_and_step_is_there(self) -> None:
        out = run("export", str(self.run_folder), "--format", "tensorboard").strip()
        self.assertEqual(Path(out), self.run_folder / "tensorboard")
        events = read(self.run_folder / "tensorboard")
        self.assert_agrees(events)
        start = self.hparams(events, "_hparams_/session_start_info").session_start_info
        self.assertEqual(start.hparams["train.batch"].number_value, 8)
        self.assertEqual(start.hparams["generator.kind"].string_value, "mlp")
        self.assertIs(start.hparams["ema.warmup"].bool_value, True)
        experiment = self.hparams(events, "_hparams_/experiment").experiment
        self.assertIn("scores/swd", [info.name.tag for info in experiment.metric_infos])
        types = {info.name: info.type for info in experiment.hparam_infos}
        self.assertEqual(types["train.batch"], api_pb2.DATA_TYPE_FLOAT64)

    def test_2_a_resume_that_was_followed_leaves_no_step_twice(self) -> None:
        # As a killed process leaves it: log points after the last checkpoint, which the resume drops.
        lines = self.metrics()
        with (self.run_folder / "metrics.jsonl").open("a") as file:
            file.write(json.dumps({**lines[-1], "step": 6, "loss_d": 1e9}) + "\n")
        run("export", str(self.run_folder), "--format", "tensorboard")
        follow = subprocess.Popen([PROGRAM, "export", str(self.run_folder.parent), "--format", "tensorboard", "--follow",
                                   "--out", str(self.path / "followed")], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        followed = self.path / "followed" / "run"
        deadline = time.monotonic() + 60
        while not list(followed.glob("events*")) and time.monotonic() < deadline:
            time.sleep(0.2)
        reader = read(followed)
        self.assertEqual(reader.Scalars("loss/D")[-1].value, 1e9)
        run("resume", str(self.run_folder))
        time.sleep(2.5)
        follow.terminate()
        follow.communicate(timeout=60)
        self.assertEqual(follow.returncode, 0)
        reader.Reload()  # goes on from where it stood, as a server does
        self.assert_agrees(reader)
        self.assert_agrees(read(followed))

    def test_3_a_folder_of_runs_has_a_subfolder_each(self) -> None:
        out = run("export", str(self.path), "--format", "tensorboard", "--out", str(self.path / "logs"))
        self.assertEqual(out.strip(), str(self.path / "logs" / "run"))
        self.assert_agrees(read(self.path / "logs" / "run"))

    def test_4_a_second_writer_is_refused_and_the_first_ends_with_every_step(self) -> None:
        training = self.path / "training" / "run"
        program = subprocess.Popen([PROGRAM, "train", str(TREE / "configs/digits/spectral.yaml"), *SMALL,
                                    "train.steps=100000", "--out", str(training)], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        try:
            wait_for(lambda: (training / "metrics.jsonl").exists())
            follow = subprocess.Popen([PROGRAM, "export", str(training), "--format", "tensorboard", "--follow"],
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            wait_for(lambda: list(training.glob("tensorboard/events*")))
            second = subprocess.run([PROGRAM, "export", str(training), "--format", "tensorboard"], capture_output=True,
                                    text=True)
            self.assertEqual(second.returncode, 1)
            self.assertIn(f"another process (pid {follow.pid}) is writing the event files", second.stderr)
            time.sleep(1.5)
        finally:
            program.terminate()
            program.wait(timeout=60)
        self.assertEqual(follow.wait(timeout=60), 0)
        steps = [json.loads(line)["step"] for line in (training / "metrics.jsonl").read_text().splitlines()]
        self.assertEqual([scalar.step for scalar in read(training / "tensorboard").Scalars("loss/D")], steps)

    def test_5_the_hparams_page_has_the_columns_of_all_runs_and_a_row_for_each(self) -> None:
        folder = self.path / "several"
        # The first has no scores, and two have one name.
        train(folder / "a" / "seed0", "train.steps=2", "discriminator.weight=none")
        scored = ("evaluation.every=2", "evaluation.generated=32", "evaluation.metrics=swd", "evaluation.features=none")
        train(folder / "b" / "seed0", "train.steps=2", *scored)
        train(folder / "c" / "seed1", "train.steps=2", "seed=1", *scored)
        # While they are written TensorBoard makes columns of its own.
        follow = subprocess.Popen([PROGRAM, "export", str(folder), "--format", "tensorboard", "--follow", "--out",
                                   str(self.path / "page")], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        for _ in range(3):
            follow.stdout.readline()
        experiment, rows = hparams_page(self.path / "page")
        self.assertEqual(len(rows), 3)
        self.assertTrue({info.name: info for info in experiment.hparam_infos}["seed"].differs)
        follow.terminate()
        follow.communicate(timeout=60)
        self.assertEqual(follow.returncode, 0)

        experiment, rows = hparams_page(self.path / "page")
        self.assertEqual(set(rows), {"a/seed0", "b/seed0", "c/seed1"})
        infos = experiment.hparam_infos
        self.assertEqual((infos[0].name, infos[0].display_name), ("(strategy)", "strategy"))
        self.assertEqual({info.name for info in infos if info.differs},
                         {"(strategy)", "discriminator.weight", "evaluation.every", "evaluation.features",
                          "evaluation.generated", "evaluation.metrics", "seed"})
        self.assertEqual([info.name.tag for info in experiment.metric_infos], ["scores/swd", "loss/D", "loss/G"])
        self.assertEqual({name: row.hparams["(strategy)"].string_value for name, row in rows.items()},
                         {"a/seed0": "none", "b/seed0": "spectral", "c/seed1": "spectral"})
        for name, row in rows.items():
            tags = {value.name.tag for value in row.metric_values}
            self.assertEqual(tags, {"loss/D", "loss/G"} | ({"scores/swd"} if name[0] != "a" else set()))
            self.assertEqual([session.status for session in row.sessions], [api_pb2.STATUS_SUCCESS])


if __name__ == "__main__":
    unittest.main()
