"""`lotrisk experiment`: what it refuses, that it goes on where it stopped, and that its winner can be promoted."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest

from features.champion import read_scorer
from features.errors import CannotTrain, SettingsError
from features.proof import proof_of
from features.reading import read_histories
from features.site import read_site
from tests.command import few_trees, lotrisk
from tests.tiny_site import arrow, day, histories
from tests.toy_model import MLFLOW_WARNS
from tests.training.learnable import learnable
from training.bootstrap import Figure
from training.champion import Verdict
from training.describe import card_of
from training.evaluation import evaluate_model
from training.experiment import Experiment, experiment
from training.experiment_file import ExperimentFile, Range, read_experiment
from training.experiment_plots import history
from training.experiment_runs import experiment_runs
from training.fit import fit_trees
from training.ground import lay_ground
from training.known import known_by
from training.leaderboard import Line
from training.model import fit_model, score_out_of_time
from training.pinned import alone
from training.recipe import Recipe
from training.runs import client_of
from training.search import importances, propose
from training.tables import block_tables
from training.trials import Asked, Trial, forecast_all, read_trials

__all__ = ["few_trees"]
pytestmark = MLFLOW_WARNS
UNTIL = day(330)
SEARCH = {"learning_rate": {"low": 0.02, "high": 0.2, "log": True}, "extra_trees": [True, False]}


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site of 300 lots whose hot ones come back."""
    folder = tmp_path_factory.mktemp("plant")
    rows, _ = learnable()
    toml = "[label]\nreturned_ppm = 100000\nwithin_days = 30\nreporting_days = 5\n"
    toml += '[model]\ngroups = ["production", "field"]\n'
    (folder / "lotrisk.toml").write_text(toml, encoding="utf-8")
    for name, table in rows.items():
        pyarrow.parquet.write_table(arrow(table), folder / f"{name}.parquet")
    return folder


@pytest.fixture(scope="module")
def found(plant: Path) -> Experiment:
    return run(plant, "first", trials=4)


def asked(**experiment: object) -> ExperimentFile:
    ablation = {"groups": True, "families": ["lot_{attribute}"]}
    return ExperimentFile.model_validate({"experiment": experiment, "search": SEARCH, "ablation": ablation})


def run(folder: Path, name: str, *, restart: bool = False, until: int = UNTIL, **settings: object) -> Experiment:
    site = read_site(folder, {})
    return experiment(
        site,
        read_histories(site, now=UNTIL).histories,
        name,
        asked(**settings),
        until=until,
        stated=until != UNTIL,
        champion=None,
        restart=restart,
        progress=lambda *_: None,
    )


def state(folder: Path) -> Path:
    return read_site(folder, {}).state_dir


def test_the_winner_is_a_version_that_can_be_promoted(plant: Path, found: Experiment) -> None:
    bundle = state(plant) / "bundles" / found.version
    card = json.loads((bundle / "card.json").read_text(encoding="utf-8"))
    for name, value in found.winner.trial.asked.parameters.items():
        assert card["parameters"][name] == value
    assert f"to promote it: lotrisk promote {plant} {found.version}" in found.told(plant)
    ran = lotrisk("promote", plant, found.version)
    assert ran.status == 0, ran.err
    assert read_scorer(state(plant)).version == found.version


def test_the_sites_own_recipe_is_always_beside_the_others(found: Experiment) -> None:
    assert {line.trial.number for line in found.lines} == {0, 1, 2, 3}
    assert next(line for line in found.lines if line.trial.number == 0).less is None
    assert [line.trial.value for line in found.lines] == sorted(line.trial.value for line in found.lines)
    left_out = [(*line.trial.asked.without_groups, *line.trial.asked.without_families) for line in found.ablations]
    assert left_out == [("field",), ("production",), ("lot_{attribute}",)]


def test_what_the_search_sees_lies_before_what_trials_are_compared_on(found: Experiment) -> None:
    ground = found.ground
    as_of = next(iter(ground.known.values())).judgements.as_of[ground.rows]
    assert as_of[ground.searched].max() < as_of[~ground.searched].min()
    assert 0.2 < (~ground.searched).mean() < 0.45


def test_leaving_out_what_matters_is_worse_beyond_noise(found: Experiment) -> None:
    by_name = {line.trial.asked.without_families: line for line in found.ablations}
    assert by_name[("lot_{attribute}",)].said == "worse beyond noise"


def test_it_leaves_tables_pictures_and_runs(plant: Path, found: Experiment) -> None:
    report = {path.name for path in (found.folder / "report").iterdir()}
    assert {"leaderboard.csv", "ablation.csv", "history.png", "precision_recall.png", "reliability.png"} <= report
    runs = experiment_runs(read_site(plant, {}), "first", kept=found.folder / "parent_run", tags=())
    assert runs.logged() == {*(f"search {number}" for number in range(4)), *(f"ablation {n}" for n in range(3))}
    parent = runs.client.get_run(runs.parent)
    assert parent.data.tags["version"] == found.version
    assert parent.data.tags["data.lots.sha256"]


def test_it_goes_on_as_if_it_had_not_been_interrupted(plant: Path, found: Experiment) -> None:
    begun = run(plant, "second", trials=2)
    for half in (begun.folder / "ablation").iterdir():
        half.unlink()
    resumed = run(plant, "second", trials=4)
    assert [line.facts()["what"] for line in resumed.lines] == [line.facts()["what"] for line in found.lines]
    for mine, theirs in zip(read_trials(resumed.folder / "search"), read_trials(found.folder / "search"), strict=True):
        assert mine.asked == theirs.asked
        assert (mine.risk == theirs.risk).all()


def test_a_run_that_is_cut_off_says_so_and_goes_on(plant: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(*_: object, **__: object) -> Trial:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("training.experiment.timed_trial", cut)
        run(plant, "cut", trials=1)
    client = client_of(read_site(plant, {}).tracking_uri)
    parent = (state(plant) / "experiments" / "cut" / "parent_run").read_text(encoding="utf-8").strip()
    assert client.get_run(parent).info.status == "KILLED"
    run(plant, "cut", trials=1)
    assert client.get_run(parent).info.status == "FINISHED"


def test_done_again_it_makes_no_second_version(plant: Path, found: Experiment) -> None:
    before = sorted(path.name for path in (state(plant) / "bundles").iterdir())
    assert run(plant, "first", trials=4).version == found.version
    assert sorted(path.name for path in (state(plant) / "bundles").iterdir()) == before


@pytest.mark.parametrize("workers", [1, 3])
def test_how_many_work_at_it_changes_nothing(plant: Path, found: Experiment, workers: int) -> None:
    other = run(plant, f"by{workers}", trials=2, workers=workers)
    mine, theirs = read_trials(other.folder / "search"), read_trials(found.folder / "search")
    assert all((a.risk == b.risk).all() for a, b in zip(mine, theirs[:2], strict=True))


def test_another_question_or_other_data_under_the_same_name_is_refused(plant: Path, found: Experiment) -> None:
    with pytest.raises(SettingsError, match="asked something else"):
        run(plant, "first", trials=4, seeds=[7])
    with pytest.raises(SettingsError, match="learned until 2020-11-26T00:00:00Z, the file says 2020-11-16"):
        run(plant, "first", trials=4, until=day(320))
    pinned = found.folder / "pinned.json"
    kept = pinned.read_text(encoding="utf-8")
    pinned.write_text(kept.replace('"rows": 300', '"rows": 299', 1), encoding="utf-8")
    with pytest.raises(SettingsError, match="began with other data: lots had 299 rows and 300 rows"):
        run(plant, "first", trials=4)
    pinned.write_text(kept, encoding="utf-8")


@pytest.mark.parametrize(
    ("was", "now", "said"),
    [("within_days = 30", "within_days = 20", r"\[label\]"), ("[model]\n", "[model]\nboosters = 2\n", r"\[model\]")],
)
def test_a_site_that_was_changed_since_is_refused(
    plant: Path, found: Experiment, was: str, now: str, said: str
) -> None:
    """Trials that are kept were made by the site as it was: beside new ones they would be compared with others."""
    toml = plant / "lotrisk.toml"
    stated = toml.read_text(encoding="utf-8")
    toml.write_text(stated.replace(was, now), encoding="utf-8")
    try:
        with pytest.raises(
            SettingsError, match=f"began with another {said} in the site's lotrisk.toml. Give --restart"
        ):
            run(plant, "first", trials=4)
    finally:
        toml.write_text(stated, encoding="utf-8")


def test_the_winner_is_the_sites_own_recipe_where_nothing_did_better(plant: Path, found: Experiment) -> None:
    own = next(line for line in found.lines if line.trial.number == 0)
    others = [line for line in found.lines if line.trial.number != 0]
    flattered = "- these figures rest on what the search was chosen on too, and flatter it"
    assert flattered not in replace(found, winner=own).told(plant)
    assert flattered in replace(found, winner=others[0]).told(plant)
    assert "nothing did better in the search" in replace(found, winner=own, lines=[own, *others]).told(plant)[0]
    assert "did worse beyond noise" in replace(found, winner=own, lines=[*others, own]).told(plant)[0]


def test_parameters_that_lightgbm_refuses_are_named() -> None:
    rows, rule = learnable()
    known = known_by(histories(rows, rule), rule, until=UNTIL)
    with pytest.raises(SettingsError, match=r"LightGBM refuses num_leaves = 1 \(.*\); change \[model\] parameters"):
        fit_trees(known, rounds=2, recipe=Recipe(parameters={"num_leaves": 1}))


def test_a_trial_is_calibrated_as_the_model_made_of_it(few_trees: None) -> None:
    """Trees of weighted failures are always calibrated: in a trial, too, or its figures are not those of its model."""
    rows, rule = learnable(700, seed=2)
    known = known_by(histories(rows, rule), rule, until=day(750))
    weighted = {"scale_pos_weight": 8.0}
    tables = list(block_tables(known, Recipe()))
    tried = Asked(weighted, rule.label.treatment)
    risk = forecast_all(tables, Recipe(), tried, seeds=[0], workers=1)[0]
    assert (risk == score_out_of_time(known, Recipe(parameters=weighted)).risk).all()


def test_the_card_says_how_young_lots_were_learned_from(plant: Path, found: Experiment) -> None:
    """The winner's treatment may be another than the site's."""
    site = read_site(plant, {})
    known = next(iter(found.ground.known.values()))
    other = replace(known, rules=replace(known.rules, label=replace(known.rules.label, treatment="leave_out")))
    model = fit_model(other, Recipe.of(site))
    evaluation = evaluate_model(model, site)
    assert site.rules.label.treatment == "correct"
    assert card_of(site, model, evaluation, Verdict(False, (), ())).label["treatment"] == "leave_out"


def test_too_little_to_compare_on_is_said() -> None:
    rows, rule = learnable()
    known = known_by(histories(rows, rule), rule, until=UNTIL)
    late = known.judgements.as_of >= day(200)
    failed = np.where(late, 0, known.labels.failed)
    good = replace(known, labels=replace(known.labels, failed=failed.astype(np.int8)))
    with pytest.raises(CannotTrain, match=r"\d+ are left for the comparison, 0 of which failed"):
        lay_ground(good, Recipe(), treatments=["leave_out"], held_back=0.25, progress=lambda *_: None)


def test_trials_are_proposed_within_the_space_and_again_the_same() -> None:
    space = {"num_leaves": Range(low=4, high=8), "lambda_l2": Range(low=0.1, high=10.0, log=True), "max_bin": [63, 127]}
    done: list[Trial] = []
    for number in range(14):
        drawn = propose(space, ["leave_out", "weight"], done, number=number)
        assert drawn == propose(space, ["leave_out", "weight"], done, number=number)
        leaves = drawn.parameters["num_leaves"]
        assert isinstance(leaves, int) and 4 <= leaves <= 8
        assert 0.1 <= drawn.parameters["lambda_l2"] <= 10 and drawn.parameters["max_bin"] in (63, 127)
        assert drawn.treatment in ("leave_out", "weight")
        done.append(Trial(number, drawn, (leaves - 5) ** 2, 0.0, None))  # type: ignore[arg-type]
    explained = importances(space, ["leave_out", "weight"], done)
    assert next(iter(explained)) == "num_leaves"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[search]\nnum_leafs = [3]\n", "unknown parameter num_leafs; did you mean num_leaves?"),
        ("[search]\nnum_leaves = []\n", "no values to choose from"),
        ("[search]\nnum_leaves = { low = 8, high = 4 }\n", "low 8 is not below high 4"),
        ("[search]\nlambda_l1 = { low = 0, high = 4, log = true }\n", "has no logarithm"),
        ("[experiment]\ntrial = 3\n", "unknown setting experiment.trial; did you mean trials?"),
        ("[experiment]\nseeds = [1, 1]\n", "names one twice"),
        ("[experiment]\nstop_after = 'soon'\n", "is not a duration"),
        ("[ablation]\ngroups = ['suplier']\n", "unknown group suplier; did you mean supplier?"),
        (
            "[ablation]\nfamilies = ['lot_{atribute}']\n",
            r"unknown family lot_\{atribute\}; did you mean lot_\{attribute\}",
        ),
        ("[experiment\n", "cannot be read"),
    ],
)
def test_a_file_that_says_something_else_is_refused_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "try.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=said) as fault:
        read_experiment(file)
    assert "\n" not in str(fault.value)


def test_a_file_of_dots_alone_never_names_the_folder_of_all_experiments(tmp_path: Path) -> None:
    file = tmp_path / "...toml"
    file.write_text("[experiment]\n", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"needs a name in \[experiment\]"):
        read_experiment(file)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nothing\.toml: is not there"):
        read_experiment(tmp_path / "nothing.toml")


def test_words_follow_the_interval() -> None:
    trial = Trial(0, Asked({}, "leave_out"), 0.0, 0.0, None)  # type: ignore[arg-type]
    loss = Figure(0.3, 0.2, 0.4)

    def said(less: Figure | None) -> str:
        return Line(trial, trial.asked, loss, None, less).said

    assert said(Figure(-0.1, -0.2, -0.01)) == "better beyond noise"
    assert said(Figure(0.1, 0.01, 0.2)) == "worse beyond noise"
    assert said(Figure(-0.1, -0.2, 0.01)) == said(Figure(-0.1, None, None)) == "not told apart"
    assert said(None) == ""


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    text = "[experiment]\nname = 'typed'\nuntil = '2020-11-26'\ntrials = 2\n[search]\nnum_leaves = [7, 15]\n"
    (tmp_path / "try.toml").write_text(text, encoding="utf-8")
    yield tmp_path / "try.toml"


def test_a_second_run_of_the_same_experiment_is_told_to_wait(plant: Path, file: Path) -> None:
    with alone(state(plant) / "experiments" / "typed"):
        ran = lotrisk("experiment", plant, file)
    assert ran.status == 2
    assert "typed is running in another process. Wait for it" in ran.err


def test_the_command_prints_the_board_and_what_to_do(plant: Path, file: Path) -> None:
    ran = lotrisk("experiment", plant, file)
    assert ran.status == 0, ran.err
    assert "Leaderboard" in ran.out and "lotrisk promote" in ran.out
    again = json.loads(lotrisk("experiment", plant, file, "--json").out)
    assert again["leaderboard"][0]["said"] in ("", "not told apart", "better beyond noise", "worse beyond noise")


def test_the_card_of_the_winner_names_what_its_histories_stood_on(plant: Path, file: Path, tmp_path: Path) -> None:
    own = tmp_path / "plant"
    shutil.copytree(plant, own, ignore=shutil.ignore_patterns(".lotrisk"))
    assert lotrisk("ingest", own).status == 0
    version = json.loads(lotrisk("experiment", own, file, "--json").out)["version"]
    card = json.loads((state(own) / "bundles" / version / "card.json").read_text(encoding="utf-8"))
    reading = read_histories(read_site(own, {}), now=UNTIL)
    assert card["stored"] == proof_of(read_site(own, {}), reading.stored)
    assert {one["table"] for one in card["stored"]["segments"]} == set(reading.histories.tables)


def test_the_site_s_own_recipe_is_always_in_the_picture_of_the_search() -> None:
    low, high = history([-0.326, -0.511, -0.407, -0.493], metric="Less average precision").axes[0].get_ylim()
    assert low < -0.511 and high > -0.326
