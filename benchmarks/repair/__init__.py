"""Repair: does `fallline.improve` cure injected faults and real programs?"""
