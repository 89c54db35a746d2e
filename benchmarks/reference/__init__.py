"""The reference work of detect.py: the topic that all read, the engines that read it, and how they are timed."""
