"""How well the search finds what fans mean: a corpus, judged queries, and the figure nDCG@10.

The corpus and the judgements were written before the ranking. `tuning.txt` may be looked at while the ranking is
changed; `figure.txt` is for the figure alone.
"""
