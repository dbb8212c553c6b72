"""Skill on real tables: fallline's default beside the figures of its peers on the same folds."""
