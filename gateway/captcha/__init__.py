"""Captcha providers behind one small interface: a solved captcha serves one command."""
