from lrrg.pipelines.finetune.judge.accuracy import served
from lrrg.pipelines.settings import load
from lrrg.pipelines.view import progress


def test_the_server_says_what_its_folder_says(films_root, judge_server):
    found = served(films_root, None, judge_server.url, load(), 40, progress)["served"][0]
    assert found["films"] == found["valid"] == found["free"] == 40
    assert found["same"] >= 39
    assert found["largest"] < 0.01
