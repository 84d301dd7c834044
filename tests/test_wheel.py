"""The wheel, built and installed for real: what is inside, and that a host finds the bot in it."""

import subprocess
import sys
import zipfile
from pathlib import Path
from textwrap import dedent

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(target), str(wheel)]
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return target


def run(program: str, site: Path, cwd: Path) -> str:
    """Run a program that sees the installed wheel before anything else, and nothing of this checkout."""
    guarded = f"import sys; sys.path.insert(0, {str(site)!r})\n" + dedent(program)
    done = subprocess.run(
        [sys.executable, "-c", guarded], capture_output=True, text=True, check=False, cwd=cwd
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_wheel_carries_both_packages_their_types_and_the_licence_and_no_tests(
    wheel: Path,
) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}

    assert {"polytraders_pfh/py.typed", "polytraders_hookspecs/py.typed"} <= set(names)
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert {top for top in tops if not top.endswith(".dist-info")} == {
        "polytraders_pfh",
        "polytraders_hookspecs",
    }


def test_bot_in_the_installed_wheel_is_found_by_its_entry_point(installed: Path, tmp_path: Path) -> None:
    printed = run(
        """
        from importlib.metadata import distribution
        import pluggy
        from polytraders_hookspecs import specs
        manager = pluggy.PluginManager("polytraders")
        manager.add_hookspecs(specs)
        manager.load_setuptools_entrypoints("polytraders")
        manager.check_pending()
        print(manager.get_plugin("exec.partialfillhandler").__file__)
        """,
        installed,
        tmp_path,
    )

    assert Path(printed.strip()) == installed / "polytraders_pfh" / "plugin.py"


def test_installed_wheel_hands_over_rules_dashboard_and_runbook(installed: Path, tmp_path: Path) -> None:
    run(
        """
        from polytraders_pfh.cli import main
        main(["assets", "--out", "handed over"], standalone_mode=False)
        """,
        installed,
        tmp_path,
    )

    shipped = ROOT / "polytraders_pfh" / "ops" / "assets"
    handed_over = {path.name: path.read_bytes() for path in (tmp_path / "handed over").iterdir()}
    assert handed_over == {
        name: (shipped / name).read_bytes() for name in ("alerts.yaml", "dashboard.json", "runbook.md")
    }


def test_contract_alone_imports_nothing_of_the_plugin(installed: Path, tmp_path: Path) -> None:
    printed = run(
        """
        import sys
        import polytraders_hookspecs
        print(sorted(name for name in sys.modules if name.startswith("polytraders_pfh")))
        """,
        installed,
        tmp_path,
    )

    assert printed == "[]\n"


def test_plugin_in_a_host_needs_none_of_the_reference_host_s_parts(installed: Path, tmp_path: Path) -> None:
    printed = run(
        """
        import sys
        import polytraders_pfh.plugin
        heavy = ("aiohttp", "pyarrow", "opentelemetry.sdk", "polytraders_pfh.host", "polytraders_pfh.paper")
        print([name for name in heavy if name in sys.modules])
        """,
        installed,
        tmp_path,
    )

    assert printed == "[]\n"
