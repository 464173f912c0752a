"""Verifiers in three languages agree with us about the same passes."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.unit.shops import vectors as made
from waiting_room.errors import TokenInvalid
from waiting_room.shop_passes import ShopPasses

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "deploy" / "gate" / "verify"
FILE = ROOT / "docs" / "shop-pass-vectors.json"
VECTORS: dict[str, Any] = json.loads(FILE.read_text())
JS = """
import { verifyPass } from "./admitone-pass.js";
const { keySet, passes } = JSON.parse(Deno.readTextFileSync(Deno.args[0]));
const became = [];
for (const one of passes) {
  try { await verifyPass(one.token, keySet.keys, one); became.push(""); }
  catch (error) { became.push(error.message); }
}
console.log(JSON.stringify(became));
"""


def test_the_vectors_are_what_we_sign() -> None:
    assert made.vectors() == VECTORS


@pytest.mark.parametrize("one", VECTORS["passes"], ids=lambda one: one["what"])
def test_we_say_so_ourselves(one: dict[str, Any]) -> None:
    passes = ShopPasses("a secret of the vectors", lambda: one["now"])
    if one["reason"] in ("", "agent"):
        passes.verify(one["token"].encode(), "pass", one["room"])
        return
    with pytest.raises(TokenInvalid):
        passes.verify(one["token"].encode(), "pass", one["room"])


def test_the_python_verifier_agrees() -> None:
    spec = importlib.util.spec_from_file_location("admitone_pass", FOLDER / "admitone_pass.py")
    assert spec is not None
    assert spec.loader is not None
    verifier = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(verifier)
    for one in VECTORS["passes"]:
        asked = {name: one[name] for name in ("room", "agent", "now")}
        if one["reason"]:
            with pytest.raises(verifier.PassInvalid, match=f"^{one['reason']}$"):
                verifier.verify(one["token"], VECTORS["keySet"]["keys"], **asked)
        else:
            claims = verifier.verify(one["token"], VECTORS["keySet"]["keys"], **asked)
            assert claims["sub"] == made.CLAIMS.sub


def test_the_javascript_verifier_agrees(tmp_path: Path) -> None:
    shutil.copy(FOLDER / "admitone-pass.js", tmp_path)
    (tmp_path / "run.js").write_text(JS)
    deno = Path(sys.executable).parent / "deno"
    ran = subprocess.run(
        [deno, "run", "--quiet", f"--allow-read={FILE}", tmp_path / "run.js", FILE],
        capture_output=True,
        text=True,
        check=True,
        env={"DENO_DIR": str(tmp_path / "deno"), "DENO_NO_UPDATE_CHECK": "1"},
    )
    assert json.loads(ran.stdout) == [one["reason"] for one in VECTORS["passes"]]


@pytest.mark.skipif(shutil.which("php") is None, reason="PHP is not installed")
def test_the_php_verifier_agrees() -> None:
    ran = subprocess.run(["php", FOLDER / "admitone_pass.php", FILE], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
