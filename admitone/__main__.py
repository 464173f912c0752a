from admitone.cli import main

main()
